// One client that asks for the page.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "server/metrics/listening_socket.h"

namespace induct::metrics {

// Makes the page anew.
using MakePage = absl::FunctionRef<std::string()>;

// Reads one request, answers it and takes leave. Nothing here waits: whoever owns it calls Go when the system
// says that the socket may be read or written. Not thread-safe.
class Connection {
 public:
  // `socket`: accepted, and such that no call on it waits.
  Connection(Socket socket, absl::Time now);

  int fd() const { return socket_.fd(); }
  // What to wait for, as poll() names it.
  short events() const;
  // Does what can be done at once. False where it is over, whatever the reason.
  bool Go(MakePage make_page, absl::Time now);
  // When it is over even if nothing comes: a client has a second to send or take something, and ten for all.
  absl::Time deadline() const;

 private:
  enum class State { kReading, kWriting, kLeaving };

  bool Read(MakePage make_page, absl::Time now);
  bool Write(absl::Time now);
  bool Leave();

  const Socket socket_;
  const absl::Time begin_;
  absl::Time last_;  // when the client sent or took something
  State state_ = State::kReading;
  std::string request_;
  std::string answer_;
  size_t written_ = 0;  // of the answer
};

}  // namespace induct::metrics
