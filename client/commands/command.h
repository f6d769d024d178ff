// What the program needs of a command. One file a command; each adds itself to the command line and says what
// to do once it was chosen.
#pragma once

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "client/interrupt.h"

namespace induct::client {

// Runs on the main thread after the command line was read. Prints its result to standard output; an error's
// message is printed by RunProgram, and its exit code is the program's.
using Action = std::function<absl::Status(Interrupt* interrupt)>;

// Each adds a command to `app`; choosing it on the command line sets `action`, which must outlive the
// parse.
void AddKindCommands(CLI::App* app, Action* action);  // one for each name in the table of kinds
void AddRunCommand(CLI::App* app, Action* action);
void AddProfilesCommand(CLI::App* app, Action* action);
void AddReportCommand(CLI::App* app, Action* action);
void AddFiguresCommand(CLI::App* app, Action* action);
void AddModelsCommand(CLI::App* app, Action* action);
void AddInspectCommand(CLI::App* app, Action* action);
void AddJobsCommand(CLI::App* app, Action* action);
void AddCancelCommand(CLI::App* app, Action* action);
void AddFetchCommand(CLI::App* app, Action* action);
void AddHealthCommand(CLI::App* app, Action* action);

}  // namespace induct::client
