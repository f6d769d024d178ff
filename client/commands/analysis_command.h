// What the commands that run an analysis share: their flags, the profile within their request, and the way
// from the request to files, figures, report and a summary.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/analysis_request.h"
#include "client/client_settings.h"
#include "client/commands/command_line.h"
#include "client/connection.h"
#include "client/interrupt.h"
#include "client/saved_run.h"

namespace induct::client {

// The flags that every analysis has.
struct AnalysisFlags {
  const CLI::App* command = nullptr;
  FlagTexts texts;
  std::vector<std::string> models;
  std::vector<std::string> labels;
  std::string settings_file;
  std::string prompts_file;
  std::string tokens_file;
  std::string control_prompts_file;
  bool json = false;
  bool quiet = false;
  bool no_figures = false;
  bool no_report = false;

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

// The profile of a request: settings, given prompts, a new request id; `model` may be empty. Warns of flags
// without effect.
absl::StatusOr<v1::RunProfileRequest> MakeProfile(const AnalysisFlags& flags, const Settings& settings,
                                                  const std::string& model);

// INVALID_ARGUMENT where the request is larger than a server takes.
absl::Status CheckSize(const AnalysisRequest& request);

// The error, naming file and line where it is about a prompt that came from one.
absl::Status WithPromptsPlace(const absl::Status& error, const AnalysisFlags& flags,
                              const AnalysisRequest& request);

// Prints a sentence on standard error, unless --quiet.
void Warn(const AnalysisFlags& flags, const std::string& sentence);

// Submits the request, follows its job, saves what comes, draws the figures, writes the report. What the run
// left is returned as it was read back. Errors carry their exit code.
absl::StatusOr<SavedRun> RunAnalysis(const AnalysisFlags& flags, const std::string& command,
                                     const Settings& settings, AnalysisRequest request,
                                     Connection* connection, Interrupt* interrupt);

// The same for a command of its own: connects, runs, prints the result.
absl::Status RunAndPrint(const AnalysisFlags& flags, const ClientSettings& settings, AnalysisRequest request,
                         Interrupt* interrupt);

// "3.1" as a head. INVALID_ARGUMENT naming the flag.
absl::StatusOr<v1::HeadRef> ParseHead(const std::string& flag, const std::string& text);

}  // namespace induct::client
