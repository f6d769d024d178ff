#include "server/metrics/listening_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace induct::metrics {
namespace {

constexpr int kBacklog = 64;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status CannotServe(const std::string& address, const std::string& why) {
  return absl::UnavailableError(
      absl::StrCat("cannot serve metrics on ", address, ": ", why, " (metrics_listen)"));
}

std::string WhyNot(int error) {
  switch (error) {
    case EADDRINUSE:
      return "the address is in use";
    case EADDRNOTAVAIL:
      return "the address is not this machine's";
    default:
      return std::strerror(error);
  }
}

// The error of the system where it cannot.
std::optional<Socket> Listen(const addrinfo& at, int& error) {
  Socket socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;  // else the address of a server that was restarted is in use for a minute
  if (socket.fd() >= 0 && setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
      bind(socket.fd(), at.ai_addr, at.ai_addrlen) == 0 && listen(socket.fd(), kBacklog) == 0)
    return socket;
  error = errno;
  return std::nullopt;
}

int PortOf(const Socket& socket) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                           : reinterpret_cast<const sockaddr_in&>(bound).sin_port);
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Listening> ListenAt(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  const bool is_ipv6 = host.starts_with('[');
  const std::string name = is_ipv6 ? host.substr(1, host.size() - 2) : host;

  const addrinfo wanted = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV | (is_ipv6 ? AI_NUMERICHOST : 0),
                           .ai_family = is_ipv6 ? AF_INET6 : AF_UNSPEC,
                           .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (const int failure = getaddrinfo(name.c_str(), port.c_str(), &wanted, &found); failure != 0) {
    return CannotServe(address,
                       is_ipv6 ? absl::StrCat(host, " is no IPv6 address")
                               : absl::StrCat("the host ", host, " is not known: ", gai_strerror(failure)));
  }
  const Addresses addresses(found, freeaddrinfo);
  int error = 0;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      if (at->ai_family != family) continue;
      std::optional<Socket> socket = Listen(*at, error);
      if (!socket) continue;
      const int chosen = PortOf(*socket);
      return Listening{.socket = *std::move(socket), .address = absl::StrCat(host, ":", chosen)};
    }
  }
  return CannotServe(address, WhyNot(error));
}

}  // namespace induct::metrics
