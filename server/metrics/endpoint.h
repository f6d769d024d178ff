// The page over HTTP.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

// Of civetweb, the HTTP server that prometheus-cpp comes with.
struct mg_context;
struct mg_connection;

namespace induct::metrics {

// The address that the setting metrics_listen means, "host:port": of a port alone loopback. INVALID_ARGUMENT
// for what is neither.
absl::StatusOr<std::string> MetricsAddress(const std::string& setting);

// Answers GET /metrics with the page, on threads of its own, until it is destroyed. A client that sends or
// takes nothing for a second is dropped. There is no authentication.
class Endpoint {
 public:
  // Called on the endpoint's threads, several at a time.
  using Page = std::function<std::string()>;

  // `address`: as MetricsAddress gives it; with port 0 the system chooses one. UNAVAILABLE where it is in use
  // or is not this machine's.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Start(const std::string& address, Page page);
  // Takes about two seconds, in which the server's threads notice.
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // With the port that was chosen.
  const std::string& address() const { return address_; }

 private:
  explicit Endpoint(Page page) : page_(std::move(page)) {}
  static int Answer(mg_connection* connection);

  const Page page_;
  std::string address_;
  mg_context* server_ = nullptr;
};

}  // namespace induct::metrics
