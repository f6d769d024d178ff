// induct-client: submits analyses to induct-server and saves what they find.
#include "client/commands/program.h"

int main(int argc, char** argv) { return induct::client::RunProgram(argc, argv); }
