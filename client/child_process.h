// Programs that the client starts: induct-server for a run of its own, gnuplot for figures.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace induct::client {

struct ChildOptions {
  std::vector<std::string> arguments;  // the program first; looked for in PATH where it has no '/'
  std::string folder;                  // working directory; empty: the parent's
  int output_fd = -1;                  // becomes standard output and error; -1: the parent's
  int inherited_fd = -1;               // becomes ChildProcess::kInheritedFd; every other one is closed
  bool own_group = false;              // in a process group of its own: a terminal's Ctrl-C does not reach it
};

// A child process; signals are not blocked in it. One thread at a time may use it. The destructor kills a
// child that still runs and reaps it, so that none stays behind.
class ChildProcess {
 public:
  static constexpr int kInheritedFd = 3;

  // NOT_FOUND where there is no such program.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits until the child has ended, at most `timeout`. Whether it has.
  bool WaitFor(absl::Duration timeout);
  void Signal(int signal);
  // REQUIRES: it has ended. Whether it exited with 0, and how it ended: "exit status 2", "signal 9".
  bool succeeded() const;
  std::string Outcome() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  const pid_t pid_;
  bool ended_ = false;
  int status_ = 0;  // as waitpid gives it, once ended_
};

}  // namespace induct::client
