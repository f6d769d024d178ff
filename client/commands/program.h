// The command line as a whole: all commands, and what becomes of their errors.
#pragma once

namespace induct::client {

// Runs the command that main's arguments name, prints its error to standard error, and returns the exit code.
int RunProgram(int argc, char** argv);

}  // namespace induct::client
