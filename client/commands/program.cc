#include "client/commands/program.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/client_settings.h"
#include "client/commands/command.h"
#include "client/commands/command_line.h"
#include "client/exit_code.h"
#include "client/interrupt.h"
#include "client/text.h"
#include "common/version.h"

namespace induct::client {
namespace {

constexpr char kFooter[] =
    "profiles, figures and report read saved runs and need no server. induct-client COMMAND --help tells a "
    "command's\n"
    "flags. Settings come from flags, then INDUCT_... environment variables, then the settings file, then "
    "the server's\n"
    "defaults. Without a server's address one is started for the run alone.\n\n"
    "Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 server unreachable, 4 output could not be "
    "written,\n"
    "5 busy (retry later), 6 the job was cancelled by somebody else, 7 the hub cannot be\n"
    "reached or used now (retry later), 130 interrupted.";

absl::Status Parse(CLI::App* app, int argc, char** argv) {
  std::vector<std::string> arguments = NormalizeArguments(std::vector<std::string>(argv + 1, argv + argc));
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
  try {
    app->parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    std::fputs(app->help("", CLI::AppFormatMode::Normal).c_str(), stdout);
  } catch (const CLI::CallForVersion&) {
    std::printf("induct-client %s\n", kVersion);
  } catch (const CLI::ExtrasError&) {
    const CLI::App* chosen = app;
    while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
    return absl::InvalidArgumentError(DescribeUnknown(*chosen, app->remaining(/*recurse=*/true)));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

// One line of the message a line; nothing that a server sent steers the terminal.
void PrintError(const absl::Status& status) {
  const std::string message(status.message());
  for (const absl::string_view line : absl::StrSplit(message, '\n')) {
    TellUser(std::string(line));
  }
}

absl::Status NoCommand(const CLI::App& app) {
  const std::vector<const CLI::App*> commands = app.get_subcommands({});
  const std::string names = absl::StrJoin(
      commands, ", ", [](std::string* out, const CLI::App* command) { out->append(command->get_name()); });
  return absl::InvalidArgumentError(absl::StrCat("no command: one of ", names, "; see induct-client --help"));
}

// A misspelt key in a file is an error; a variable may belong to another program.
void WarnOfMisspeltVariables(const CLI::App& command) {
  const CLI::Option* quiet = command.get_option_no_throw("--quiet");
  if (quiet != nullptr && quiet->count() > 0) return;
  for (const std::string& sentence : MisspeltVariables()) TellUser(sentence);
}

absl::Status RunCommand(int argc, char** argv) {
  CLI::App app("Finds the induction heads of language models on an induct-server.", "induct-client");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", std::string(kVersion));
  app.footer(kFooter);
  Action action;
  AddKindCommands(&app, &action);
  AddRunCommand(&app, &action);
  AddProfilesCommand(&app, &action);
  AddReportCommand(&app, &action);
  AddFiguresCommand(&app, &action);
  AddModelsCommand(&app, &action);
  AddInspectCommand(&app, &action);
  AddJobsCommand(&app, &action);
  AddFetchCommand(&app, &action);
  AddCancelCommand(&app, &action);
  AddHealthCommand(&app, &action);
  if (argc < 2) return NoCommand(app);
  const absl::Status parsed = Parse(&app, argc, argv);
  if (!parsed.ok() || !action) return parsed;
  WarnOfMisspeltVariables(*app.get_subcommands().front());
  Interrupt interrupt;
  return action(&interrupt);
}

// A write that failed earlier left its mark on the stream, also where nothing is left to flush.
absl::Status FlushOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return absl::OkStatus();
  return WithExitCode(
      absl::DataLossError("cannot write all of the result to standard output; is its disk full?"),
      ExitCode::kOutput);
}

}  // namespace

int RunProgram(int argc, char** argv) {
  Interrupt::BlockSignals();
  absl::Status status;
  try {
    status = RunCommand(argc, argv);
    if (status.ok()) status = FlushOutput();
  } catch (const std::exception& error) {  // out of memory, or a fault of ours: say so instead of aborting
    status = absl::InternalError(error.what());
  }
  if (!status.ok()) PrintError(status);
  return static_cast<int>(ExitCodeOf(status));
}

}  // namespace induct::client
