// The page over HTTP.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "server/metrics/listening_socket.h"

namespace induct::metrics {

class Connection;

// The address that the setting metrics_listen means, "host:port": of a port alone loopback. INVALID_ARGUMENT
// for what is neither.
absl::StatusOr<std::string> MetricsAddress(const std::string& setting);

// Answers GET /metrics with the page, on a thread of its own, until it is destroyed. A client that sends or
// takes nothing for a second is dropped, and holds up nobody before. There is no authentication.
//
// The HTTP server that prometheus-cpp comes with is not used: Debian's is built without IPv6, and does not
// tell a host that is unknown from an address that is in use.
class Endpoint {
 public:
  // Called on the endpoint's thread.
  using Page = std::function<std::string()>;

  // `address`: as MetricsAddress gives it; with port 0 the system chooses one. Errors of ListenAt.
  static absl::StatusOr<std::unique_ptr<Endpoint>> Start(const std::string& address, Page page);
  // Waits for a page that is being made, for no client.
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  // With the port that was chosen.
  const std::string& address() const { return listening_.address; }

 private:
  Endpoint(Listening listening, Socket wake, Socket woken, Page page);
  void Serve() const;
  // One round of waiting and doing; false where the endpoint ends.
  bool Turn(std::list<Connection>& connections) const;

  const Listening listening_;
  const Socket wake_, woken_;  // a pair: the thread ends when the first is shut down
  const Page page_;
  std::thread thread_;
};

}  // namespace induct::metrics
