// What the commands that leave a run directory do with it: figures, report, and what the terminal gets.
#pragma once

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "client/run_writer.h"
#include "client/saved_run.h"

namespace induct::client {

struct OutputFlags {
  bool json = false;
  bool quiet = false;
  bool no_figures = false;
  bool no_report = false;
};

// Adds --quiet, --no_figures and --no_report; `flags` must outlive the parse.
void AddOutputFlags(CLI::App* command, OutputFlags* flags);
void AddJsonFlag(CLI::App* command, OutputFlags* flags);

// Prints a sentence on standard error, unless --quiet.
void Warn(const OutputFlags& flags, const std::string& sentence);

// A run as it was read back.
struct FinishedRun {
  SavedRun run;
  bool has_figures = false;
};

// Ends a run whose files are written, or could not be: draws figures and writes the report of one that
// succeeded, writes metadata.json for good and reads the run back. Missing figures are no reason to fail, as
// all numbers are saved: the metadata gets a warning. `outcome` is how the run went so far, and
// `or_interrupted` gives what an interrupt makes of an outcome. The first error is returned.
absl::StatusOr<FinishedRun> FinishRun(const OutputFlags& flags, const std::string& figs_dir,
                                      absl::Status outcome, RunWriter* writer,
                                      const std::function<absl::Status(const absl::Status&)>& or_interrupted);

// Prints summary or JSON and where the files are. With --json standard output holds nothing else.
absl::Status PrintResult(const OutputFlags& flags, const std::string& figs_dir, const FinishedRun& finished);

}  // namespace induct::client
