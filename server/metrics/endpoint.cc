#include "server/metrics/endpoint.h"

#include <civetweb.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::metrics {
namespace {

constexpr char kPath[] = "/metrics";
constexpr char kLoopback[] = "127.0.0.1:";
// Whoever stalls holds a thread for as long as the timeout.
constexpr char kThreads[] = "8", kTimeoutMs[] = "1000";
constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

bool IsPort(std::string_view text) {
  const auto is_digit = [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); };
  int port = -1;
  return std::ranges::all_of(text, is_digit) && absl::SimpleAtoi(std::string(text), &port) && port < 65536;
}

// As in names and addresses: the server would take a comma for the beginning of a second address.
bool IsHost(std::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        std::string_view(".-_:[]").find(c) == std::string_view::npos)
      return false;
  }
  return !text.empty();
}

std::string HostOf(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

// The server itself does not tell.
std::string WhyNotServed(const std::string& host) {
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (error != 0) return absl::StrCat("the host is not known: ", gai_strerror(error));
  const bool needs_ipv6 = found->ai_family == AF_INET6;
  freeaddrinfo(found);
  if (needs_ipv6 && mg_check_feature(MG_FEATURES_IPV6) == 0)
    return "it is an IPv6 address, and the HTTP server of this build has none: give an IPv4 address";
  return "the address is in use or not this machine's";
}

// Drops what the server would write to its own log.
int DropMessage(const mg_connection*, const char*) { return 1; }

}  // namespace

absl::StatusOr<std::string> MetricsAddress(const std::string& setting) {
  if (IsPort(setting)) return kLoopback + setting;
  const std::string_view text = setting;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && IsHost(text.substr(0, colon)) && IsPort(text.substr(colon + 1)))
    return setting;
  return InvalidField(
      "metrics_listen",
      absl::StrCat("\"", setting, "\" given; a port, for this machine alone, or host:port is needed"));
}

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Start(const std::string& address, Page page) {
  std::unique_ptr<Endpoint> endpoint(new Endpoint(std::move(page)));
  mg_init_library(0);
  mg_callbacks callbacks = {};
  callbacks.begin_request = Answer;
  callbacks.log_message = DropMessage;
  std::array options = {"listening_ports",
                        address.c_str(),
                        "num_threads",
                        kThreads,
                        "request_timeout_ms",
                        kTimeoutMs,
                        static_cast<const char*>(nullptr)};
  endpoint->server_ = mg_start(&callbacks, endpoint.get(), options.data());
  mg_server_port chosen = {};
  if (endpoint->server_ == nullptr || mg_get_server_ports(endpoint->server_, 1, &chosen) != 1) {
    return absl::UnavailableError(absl::StrCat("cannot serve metrics on ", address, ": ",
                                               WhyNotServed(HostOf(address)), " (metrics_listen)"));
  }
  endpoint->address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", chosen.port);
  return endpoint;
}

Endpoint::~Endpoint() {
  if (server_ != nullptr) mg_stop(server_);
  mg_exit_library();
}

// Returns the status of the answer, which tells the server that there was one.
int Endpoint::Answer(mg_connection* connection) try {
  const mg_request_info& request = *mg_get_request_info(connection);
  const std::string_view method = request.request_method;
  if (method != "GET" && method != "HEAD") return mg_send_http_error(connection, 405, "only GET"), 405;
  if (std::string_view(request.local_uri) != kPath)
    return mg_send_http_error(connection, 404, "only %s", kPath), 404;

  const std::string page = static_cast<const Endpoint*>(request.user_data)->page_();
  mg_send_http_ok(connection, kContentType, static_cast<long long>(page.size()));
  if (method == "GET") mg_write(connection, page.data(), page.size());
  return 200;
} catch (const std::exception&) {  // the server is C: nothing may leave through it
  return mg_send_http_error(connection, 500, "out of memory"), 500;
}

}  // namespace induct::metrics
