#include "server/metrics/endpoint.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iterator>
#include <list>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "server/metrics/connection.h"

namespace induct::metrics {
namespace {

constexpr char kLoopback[] = "127.0.0.1:";
// At once; others wait, for a second at most, as nobody may stall for longer.
constexpr size_t kMaxConnections = 64;
// Before it is tried again to accept a client for whom there was no file descriptor.
constexpr int kPauseMs = 100;

bool IsPort(std::string_view text) {
  const auto is_digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  int port = -1;
  return std::ranges::all_of(text, is_digit) && absl::SimpleAtoi(std::string(text), &port) && port < 65536;
}

bool HasOnly(std::string_view text, std::string_view signs) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || signs.find(c) != std::string_view::npos;
  });
}

// As in names and IPv4 addresses, or an IPv6 address in brackets.
bool IsHost(std::string_view text) {
  if (text.starts_with('[')) return text.ends_with(']') && HasOnly(text.substr(1, text.size() - 2), ":.%-_");
  return HasOnly(text, ".-_");
}

// Milliseconds until the first of them is over; -1: for ever.
int Patience(const std::list<Connection>& connections, absl::Time now) {
  absl::Time first = absl::InfiniteFuture();
  for (const Connection& connection : connections) first = std::min(first, connection.deadline());
  if (first == absl::InfiniteFuture()) return -1;
  return static_cast<int>(absl::ToInt64Milliseconds(std::max(absl::ZeroDuration(), first - now))) + 1;
}

// False where it could not for want of something, as of file descriptors.
bool Accept(const Socket& listening, std::list<Connection>& connections) {
  Socket socket(accept4(listening.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.fd() < 0) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
  connections.emplace_back(std::move(socket), absl::Now());
  return true;
}

}  // namespace

absl::StatusOr<std::string> MetricsAddress(const std::string& setting) {
  if (IsPort(setting)) return kLoopback + setting;
  const std::string_view text = setting;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && IsHost(text.substr(0, colon)) && IsPort(text.substr(colon + 1)))
    return setting;
  return InvalidField(
      "metrics_listen",
      absl::StrCat("\"", setting, "\" given; a port, for this machine alone, or host:port is needed",
                   HasOnly(text, ":.") && std::ranges::count(text, ':') > 1
                       ? ", an IPv6 address in brackets ([::1]:9464)"
                       : ""));
}

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Start(const std::string& address, Page page) {
  INDUCT_ASSIGN_OR_RETURN(Listening listening, ListenAt(address));
  std::array<int, 2> pair;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return absl::UnavailableError(absl::StrCat("cannot serve metrics: ", std::strerror(errno)));
  return std::unique_ptr<Endpoint>(
      new Endpoint(std::move(listening), Socket(pair[0]), Socket(pair[1]), std::move(page)));
}

Endpoint::Endpoint(Listening listening, Socket wake, Socket woken, Page page)
    : listening_(std::move(listening)),
      wake_(std::move(wake)),
      woken_(std::move(woken)),
      page_(std::move(page)),
      thread_([this] { Serve(); }) {}

Endpoint::~Endpoint() {
  shutdown(wake_.fd(), SHUT_RDWR);
  thread_.join();
}

void Endpoint::Serve() const {
  std::list<Connection> connections;
  while (true) {
    try {
      if (!Turn(connections)) return;
    } catch (const std::exception&) {  // no memory: theirs is given back
      connections.clear();
    }
  }
}

bool Endpoint::Turn(std::list<Connection>& connections) const {
  const bool is_full = connections.size() >= kMaxConnections;
  std::vector<pollfd> waited = {{.fd = woken_.fd(), .events = POLLIN},
                                {.fd = is_full ? -1 : listening_.socket.fd(), .events = POLLIN}};
  for (const Connection& connection : connections)
    waited.push_back({.fd = connection.fd(), .events = connection.events()});
  if (poll(waited.data(), waited.size(), Patience(connections, absl::Now())) < 0) return true;
  if (waited[0].revents != 0) return false;

  auto event = waited.begin() + 2;
  for (auto it = connections.begin(); it != connections.end(); ++event) {
    const absl::Time now = absl::Now();
    const bool goes_on = (event->revents == 0 || it->Go(page_, now)) && now < it->deadline();
    it = goes_on ? std::next(it) : connections.erase(it);
  }
  if (waited[1].revents != 0 && !Accept(listening_.socket, connections)) poll(waited.data(), 1, kPauseMs);
  return true;
}

}  // namespace induct::metrics
