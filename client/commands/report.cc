// induct-client report: one page for saved runs.
#include "client/report/report.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/saved_run.h"
#include "client/text.h"
#include "common/status.h"

namespace induct::client {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string output;
};

// Beside the only run, or where the user stands.
std::string DefaultOutput(const std::vector<std::string>& runs) {
  return runs.size() == 1 ? absl::StrCat(runs.front(), "/report.html") : "report.html";
}

absl::Status RunReport(const ReportOptions& options) {
  const std::string output = options.output.empty() ? DefaultOutput(options.runs) : options.output;
  if (!absl::EndsWith(output, ".html")) {
    return absl::InvalidArgumentError(absl::StrCat("-o: \"", output,
                                                   "\" does not end in .html; the Markdown page "
                                                   "gets the same name with .md"));
  }
  std::vector<SavedRun> runs;
  std::vector<absl::Status> unreadable;
  for (const std::string& path : options.runs) {
    auto run = ReadRun(path);
    if (!run.ok()) {
      unreadable.push_back(run.status());
      continue;
    }
    for (const std::string& problem : run->problems) TellUser(absl::StrCat(path, ": ", problem));
    runs.push_back(*std::move(run));
  }
  std::vector<std::string> problems;
  for (const absl::Status& status : unreadable) {
    if (runs.empty() && &status == &unreadable.back()) return status;  // main tells it
    problems.emplace_back(status.message());
    TellUser(problems.back());
  }
  INDUCT_RETURN_IF_ERROR(WriteReport(runs, problems, output));
  std::printf("%s of %s\n", Printable(output).c_str(), Counted(runs.size(), "run").c_str());
  return absl::OkStatus();
}

}  // namespace

void AddReportCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<ReportOptions>();
  CLI::App* command = app->add_subcommand("report", "Write one page, HTML and Markdown, about saved runs");
  command->add_option("run_dir", options->runs, "The run directories, one or more")
      ->type_name("RUN_DIR...")
      ->required();
  command
      ->add_option(
          "-o,--output", options->output,
          "The page; its Markdown gets the same name with .md [default: report.html beside the only run, "
          "or in this folder]")
      ->type_name("FILE.html");
  command->footer(
      "The page needs no network and no server. A run that is unfinished, damaged or of a later version is "
      "named in "
      "it and on\n"
      "standard error, and the rest is reported.");
  command->callback([options, action] { *action = [options](Interrupt*) { return RunReport(*options); }; });
}

}  // namespace induct::client
