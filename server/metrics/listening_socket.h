// Where the page is served.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace induct::metrics {

// A socket that is closed with its owner; may be moved, not copied.
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

struct Listening {
  Socket socket;        // no call on it, nor on what it accepts, waits
  std::string address;  // as it was given, with the port that the system chose where that was 0
};

// Listens at "host:port", of which the host is a name, an IPv4 address or an IPv6 one in brackets; of a name
// at the first of its addresses that can be had, IPv4 before IPv6. UNAVAILABLE says which of the two is
// wrong: the name, or the address, which is in use, not this machine's or not allowed.
absl::StatusOr<Listening> ListenAt(const std::string& address);

}  // namespace induct::metrics
