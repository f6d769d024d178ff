// What the commands that run an analysis share: their flags, the spec that they make, and the way from it
// to files, figures, report and a summary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/client_settings.h"
#include "client/commands/command_line.h"
#include "client/commands/run_output.h"
#include "client/connection.h"
#include "client/interrupt.h"
#include "client/record_file.h"
#include "induct/v1/analyses.pb.h"

namespace induct::client {

// A file that a flag names.
struct RecordFile {
  const RecordKind* kind = nullptr;
  std::string path;
};

// The flags that every analysis has.
struct AnalysisFlags {
  const CLI::App* command = nullptr;
  FlagTexts texts;
  std::vector<std::string> models;
  std::vector<std::string> labels;
  std::string settings_file;
  std::string prompts_file;
  std::string tokens_file;
  std::vector<RecordFile> record_files;  // of the kind's own flags
  OutputFlags output;

  std::string name() const { return command->get_name(); }
};

// --model NAME; --models NAME NAME ... with --labels; or --plan FILE, which is the settings file and names
// the models.
enum class ModelFlag { kOne, kSeveral, kPlan };

// Adds them to a command, which must outlive the parse as `flags` must.
void AddAnalysisFlags(CLI::App* command, ModelFlag model_flag, AnalysisFlags* flags);

// The settings of a command: flags, environment, file.
absl::StatusOr<ClientSettings> GatherSettings(const AnalysisFlags& flags);

// The models that are asked for: by flag, else by the settings; kOne takes the first. INVALID_ARGUMENT where
// there are none, or a name is no UTF-8.
absl::StatusOr<std::vector<std::string>> ChooseModels(const AnalysisFlags& flags, const Settings& settings,
                                                      ModelFlag model_flag);

// What commands fill in alike: settings, given prompts, a new request id. REQUIRES: the spec has an analysis.
absl::Status FillSpec(const AnalysisFlags& flags, const Settings& settings, v1::JobSpec* spec);

// INVALID_ARGUMENT where the spec is larger than a server takes.
absl::Status CheckSize(const v1::JobSpec& spec);

// The error, naming file and line where it is about a prompt, or another record, that came from one.
absl::Status WithPlaceInFile(const absl::Status& error, const AnalysisFlags& flags, const v1::JobSpec& spec);

// Creates the job, follows it, saves what comes, draws the figures, writes the report. What the run left is
// returned as it was read back. Errors carry their exit code.
absl::StatusOr<FinishedRun> RunAnalysis(const AnalysisFlags& flags, const std::string& command,
                                        const Settings& settings, v1::JobSpec spec, Connection* connection,
                                        Interrupt* interrupt);

// The same for a command of its own: connects, runs, prints the result.
absl::Status RunAndPrint(const AnalysisFlags& flags, const ClientSettings& settings, v1::JobSpec spec,
                         Interrupt* interrupt);

}  // namespace induct::client
