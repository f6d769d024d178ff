// An induct-server for one run: on a socket pair that nobody else can reach.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/child_process.h"

namespace induct::client {

// Owns the server process. It ends by itself when the other end of its socket closes, so that whatever kills
// the client leaves nothing behind; the destructor sees to it within seconds. One thread at a time may use
// it.
class PrivateServer {
 public:
  // Starts the induct-server beside this program, else the one in PATH. `settings_file` may be empty. Call it
  // before gRPC has threads. UNAVAILABLE (exit code kUnreachable) where it can't be started.
  static absl::StatusOr<std::unique_ptr<PrivateServer>> Start(const std::string& settings_file);
  ~PrivateServer();

  // The client's end, non-blocking. May be taken once; whoever takes it closes it.
  int TakeSocket();

  // What it logged last, a few lines; empty where its log goes to standard error (INDUCT_SERVER_LOG=1).
  std::string LastLogLines() const;

 private:
  PrivateServer(std::unique_ptr<ChildProcess> process, int socket, int log_fd);

  const std::unique_ptr<ChildProcess> process_;
  int socket_;  // -1 once taken
  const int
      log_fd_;  // an anonymous file: it never blocks the server, as a pipe that nobody reads would; -1: none
};

}  // namespace induct::client
