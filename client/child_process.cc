#include "client/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace induct::client {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(5);

void DescribeFiles(const ChildOptions& options, posix_spawn_file_actions_t* actions) {
  posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (options.output_fd >= 0) {
    posix_spawn_file_actions_adddup2(actions, options.output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(actions, options.output_fd, STDERR_FILENO);
  }
  int first_closed = ChildProcess::kInheritedFd;
  if (options.inherited_fd >= 0) {
    posix_spawn_file_actions_adddup2(actions, options.inherited_fd, ChildProcess::kInheritedFd);
    ++first_closed;
  }
  posix_spawn_file_actions_addclosefrom_np(actions, first_closed);
  if (!options.folder.empty()) posix_spawn_file_actions_addchdir_np(actions, options.folder.c_str());
}

void DescribeAttributes(const ChildOptions& options, posix_spawnattr_t* attributes) {
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(attributes, &none);
  short flags = POSIX_SPAWN_SETSIGMASK;
  if (options.own_group) {
    posix_spawnattr_setpgroup(attributes, 0);
    flags |= POSIX_SPAWN_SETPGROUP;
  }
  posix_spawnattr_setflags(attributes, flags);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const ChildOptions& options) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  const absl::Cleanup cleanup = [&] {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  };
  DescribeFiles(options, &actions);
  DescribeAttributes(options, &attributes);
  std::vector<char*> arguments;
  for (const std::string& argument : options.arguments)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", options.arguments[0]));
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid));
}

ChildProcess::~ChildProcess() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
}

bool ChildProcess::WaitFor(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!ended_) {
    ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    if (!ended_ && absl::Now() >= deadline) return false;
    if (!ended_) absl::SleepFor(kPollInterval);
  }
  return true;
}

void ChildProcess::Signal(int signal) {
  if (!ended_) kill(pid_, signal);
}

bool ChildProcess::succeeded() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }

std::string ChildProcess::Outcome() const {
  return WIFSIGNALED(status_) ? absl::StrCat("signal ", WTERMSIG(status_))
                              : absl::StrCat("exit status ", WEXITSTATUS(status_));
}

}  // namespace induct::client
