// One HTTP exchange after the other, by libcurl, which is seen by http_client.cc alone. It follows no
// redirect and tries nothing again: who may see the token and what is worth another attempt is decided above.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace induct::hub {

struct HttpRequest {
  std::string method = "GET";  // or "HEAD"
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration stall_timeout = absl::Seconds(10);  // no byte for so long
  absl::Duration total_timeout = absl::InfiniteDuration();
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;         // names in lower case; of several, the last
  std::string url;                                    // that was asked
  std::string redirect_url;                           // where a 3xx points, absolute; empty for others
  absl::Duration retry_after = absl::ZeroDuration();  // Retry-After
  bool cut = false;        // the body ended early: the connection broke or nothing came any more
  std::string cut_reason;  // what the network did

  // The header's value, empty where there is none.
  std::string Header(const std::string& lower_case_name) const;
};

// Takes a response of status 2xx; bodies of others are dropped. An error ends the exchange and is returned.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Status and headers, before any byte of the body.
  virtual absl::Status OnHead(const HttpResponse& head) = 0;
  virtual absl::Status OnBody(std::string_view bytes) = 0;
};

// Keeps the connection for the next request to the same host. Used by one thread at a time.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // The response, whatever its status, once the body has ended or was cut. UNAVAILABLE, in words of the
  // network, where no response came, with the reason HUB_UNREACHABLE where the host's name does not resolve;
  // FAILED_PRECONDITION where none ever will (a certificate that is not trusted, no URL); CANCELLED soon
  // after `stop`.
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, ResponseSink& sink, std::stop_token stop);

 private:
  struct Exchange;
  class Handles;

  std::unique_ptr<Handles> handles_;
};

// Scheme, host and port of an http or https URL, "https://huggingface.co:443"; empty for every other text.
std::string OriginOf(const std::string& url);

// The URL without its query, which may hold a signature, for errors and logs.
std::string WithoutQuery(const std::string& url);

}  // namespace induct::hub
