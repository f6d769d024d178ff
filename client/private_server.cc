#include "client/private_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/exit_code.h"

namespace induct::client {
namespace {

constexpr char kServerProgram[] = "induct-server";
constexpr off_t kLogTail = 4096;  // bytes of the log that LastLogLines looks at
constexpr int kLogLines = 10;
constexpr absl::Duration kPatience = absl::Seconds(3);  // for each step of ending the server

// The server beside this program where there is one, else its bare name, which is looked for in PATH.
std::string FindServer() {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self));
  if (length <= 0) return kServerProgram;
  const std::string path(self, static_cast<size_t>(length));
  const std::string beside = absl::StrCat(path.substr(0, path.rfind('/') + 1), kServerProgram);
  return access(beside.c_str(), X_OK) == 0 ? beside : kServerProgram;
}

int OpenLog() {
  const char* shown = std::getenv("INDUCT_SERVER_LOG");
  const bool show = shown != nullptr && std::string(shown) == "1";
  return show ? -1 : memfd_create("induct-server-log", MFD_CLOEXEC);
}

absl::Status CannotStart(const absl::Status& cause) {
  return WithExitCode(absl::UnavailableError(absl::StrCat(
                          cause.message(),
                          "\nno --server was given, so one is started for this run alone, from the folder of "
                          "this program or PATH; install induct-server there, or give --server HOST:PORT")),
                      ExitCode::kUnreachable);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PrivateServer>> PrivateServer::Start(const std::string& settings_file) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return CannotStart(absl::ErrnoToStatus(errno, "no socket pair"));
  const absl::Cleanup close_server_end = [&] { close(ends[1]); };
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const int log_fd = OpenLog();

  ChildOptions options{
      .output_fd = log_fd >= 0 ? log_fd : STDERR_FILENO, .inherited_fd = ends[1], .own_group = true};
  options.arguments = {FindServer(), "--listen", absl::StrCat("fd:", ChildProcess::kInheritedFd)};
  if (!settings_file.empty())
    options.arguments.insert(options.arguments.end(), {"--settings", settings_file});
  auto process = ChildProcess::Start(options);
  if (!process.ok()) {
    close(ends[0]);
    if (log_fd >= 0) close(log_fd);
    return CannotStart(process.status());
  }
  return std::unique_ptr<PrivateServer>(new PrivateServer(*std::move(process), ends[0], log_fd));
}

PrivateServer::PrivateServer(std::unique_ptr<ChildProcess> process, int socket, int log_fd)
    : process_(std::move(process)), socket_(socket), log_fd_(log_fd) {}

PrivateServer::~PrivateServer() {
  if (socket_ >= 0) close(socket_);
  if (!process_->WaitFor(kPatience)) {
    process_->Signal(SIGTERM);
    process_->WaitFor(kPatience);  // and the process's destructor kills what still runs
  }
  if (log_fd_ >= 0) close(log_fd_);
}

int PrivateServer::TakeSocket() { return std::exchange(socket_, -1); }

std::string PrivateServer::LastLogLines() const {
  struct stat info;
  if (log_fd_ < 0 || fstat(log_fd_, &info) != 0) return "";
  std::string tail(static_cast<size_t>(std::min(info.st_size, kLogTail)), '\0');
  const ssize_t length =
      pread(log_fd_, tail.data(), tail.size(), info.st_size - static_cast<off_t>(tail.size()));
  tail.resize(static_cast<size_t>(std::max<ssize_t>(length, 0)));
  absl::StripTrailingAsciiWhitespace(&tail);
  size_t begin = tail.size();
  for (int line = 0; line < kLogLines && begin != std::string::npos && begin > 0; ++line)
    begin = tail.rfind('\n', begin - 1);
  return begin == std::string::npos || begin == 0 ? tail : tail.substr(begin + 1);
}

}  // namespace induct::client
