#include "server/hub/http_client.h"

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <mutex>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status.h"
#include "common/version.h"

namespace induct::hub {
namespace {

constexpr int kPollMilliseconds = 50;  // also how soon a stop is noticed
// What a name server may take: glibc asks the second of them after 5 seconds.
constexpr std::chrono::seconds kMaxNameLookup{6};
constexpr long kReceiveBuffer = 512 << 10;
constexpr size_t kMaxHeaders = 200;
constexpr size_t kMaxHeaderBytes = 16 << 10;
constexpr size_t kMaxDroppedBytes = 256 << 10;  // more of a body that nobody reads is not waited for

long Milliseconds(absl::Duration duration) {
  return std::max<long>(1, static_cast<long>(absl::ToInt64Milliseconds(duration)));
}

void InitCurlOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// Errors that another attempt will meet again.
bool IsPermanent(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string HttpResponse::Header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? std::string() : found->second;
}

class HttpClient::Handles {
 public:
  Handles() : multi(curl_multi_init()), easy(curl_easy_init()) {}
  ~Handles() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }

  CURLM* const multi;  // holds the connections
  CURL* const easy;
};

// What one exchange has brought so far. Its static members are what libcurl calls.
struct HttpClient::Exchange {
  CURL* easy;
  ResponseSink& sink;
  HttpResponse response = {};
  bool has_head = false;
  size_t dropped_bytes = 0;
  std::chrono::steady_clock::time_point last_byte = std::chrono::steady_clock::now();
  absl::Status refusal = absl::OkStatus();  // of the sink
  std::array<char, CURL_ERROR_SIZE> error = {};

  // A line of the head. A new status line begins a new response (100 Continue, a proxy's answer to CONNECT).
  static size_t OnHeaderLine(char* data, size_t, size_t n, void* exchange) {
    auto& self = *static_cast<Exchange*>(exchange);
    self.last_byte = std::chrono::steady_clock::now();
    HttpResponse& response = self.response;
    const std::string_view line(data, n);
    if (line.starts_with("HTTP/")) response.headers.clear();
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return n;
    if (response.headers.size() >= kMaxHeaders || n > kMaxHeaderBytes) return 0;
    const auto text = [](std::string_view part) {
      return std::string(absl::StripAsciiWhitespace(absl::string_view(part.data(), part.size())));
    };
    response.headers[absl::AsciiStrToLower(text(line.substr(0, colon)))] = text(line.substr(colon + 1));
    return n;
  }

  static size_t OnBodyBytes(char* data, size_t, size_t n, void* exchange) {
    auto& self = *static_cast<Exchange*>(exchange);
    self.TakeHead();
    if (self.IsWanted() && self.refusal.ok()) self.refusal = self.sink.OnBody({data, n});
    if (!self.IsWanted()) self.dropped_bytes += n;
    self.last_byte = std::chrono::steady_clock::now();  // after the sink: a slow disk is no slow network
    return self.refusal.ok() && self.dropped_bytes <= kMaxDroppedBytes ? n : 0;
  }

  bool IsWanted() const { return response.status / 100 == 2; }

  // Once all headers are there.
  void TakeHead() {
    if (has_head) return;
    has_head = true;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    char* url = nullptr;
    if (curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &url) == CURLE_OK && url != nullptr) {
      response.redirect_url = url;
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    response.retry_after = absl::Seconds(seconds);
    if (IsWanted()) refusal = sink.OnHead(response);
  }

  void Configure(const HttpRequest& request, curl_slist* headers) {
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    if (request.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, absl::StrCat("induct/", kVersion).c_str());
    // Asks for the bytes as they are, and decodes those of servers that compress all the same.
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "identity");
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBuffer);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request.connect_timeout));
    if (request.total_timeout != absl::InfiniteDuration()) {
      curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, Milliseconds(request.total_timeout));
    }
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error.data());
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeaderLine);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a cancelled request does not wait for its name server
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBodyBytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  }

  // Whether the host's name, or the proxy's, is still being asked for.
  bool IsResolving() const {
    curl_off_t lookup = 0;
    curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &lookup);
    return lookup == 0;
  }

  // Runs to the end; nullopt where `stop` came first. libcurl's own limit on slow transfers goes by an
  // average over seconds and would notice a stall late.
  std::optional<CURLcode> Run(CURLM* multi, absl::Duration stall_timeout, const std::stop_token& stop) {
    curl_multi_add_handle(multi, easy);
    const absl::Cleanup remove = [&] { curl_multi_remove_handle(multi, easy); };
    const auto start = std::chrono::steady_clock::now();
    bool is_resolving = true;
    for (int n_running = 1; n_running > 0;) {
      if (stop.stop_requested()) return std::nullopt;
      if (curl_multi_perform(multi, &n_running) != CURLM_OK) return CURLE_FAILED_INIT;
      if (n_running > 0) curl_multi_poll(multi, nullptr, 0, kPollMilliseconds, nullptr);
      is_resolving = is_resolving && IsResolving();
      if (is_resolving && std::chrono::steady_clock::now() - start > kMaxNameLookup) return Unresolved();
      if (std::chrono::steady_clock::now() - last_byte > absl::ToChronoMilliseconds(stall_timeout)) {
        return Stalled(stall_timeout);
      }
    }
    int n_left = 0;
    const CURLMsg* message = curl_multi_info_read(multi, &n_left);
    return message == nullptr ? CURLE_FAILED_INIT : message->data.result;
  }

  CURLcode Unresolved() {
    absl::SNPrintF(error.data(), error.size(), "no name server answered within %d s",
                   static_cast<int>(kMaxNameLookup.count()));
    return CURLE_COULDNT_RESOLVE_HOST;
  }

  CURLcode Stalled(absl::Duration timeout) {
    absl::SNPrintF(error.data(), error.size(), "nothing came for %s", absl::FormatDuration(timeout));
    return CURLE_OPERATION_TIMEDOUT;
  }

  absl::Status Failure(CURLcode code, const std::string& url) const {
    const std::string message =
        absl::StrCat(WithoutQuery(url), ": ", error[0] != 0 ? error.data() : curl_easy_strerror(code));
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
      return WithReason(absl::UnavailableError(message), reason::kHubUnreachable);
    return IsPermanent(code) ? absl::FailedPreconditionError(message) : absl::UnavailableError(message);
  }
};

HttpClient::HttpClient() {
  InitCurlOnce();
  handles_ = std::make_unique<Handles>();
}

HttpClient::~HttpClient() = default;

absl::StatusOr<HttpResponse> HttpClient::Send(const HttpRequest& request, ResponseSink& sink,
                                              std::stop_token stop) {
  curl_slist* headers = nullptr;
  const absl::Cleanup free_headers = [&] { curl_slist_free_all(headers); };
  for (const std::string& header : request.headers) headers = curl_slist_append(headers, header.c_str());

  Exchange exchange{.easy = handles_->easy, .sink = sink};
  exchange.response.url = request.url;
  exchange.Configure(request, headers);
  const std::optional<CURLcode> code = exchange.Run(handles_->multi, request.stall_timeout, stop);
  if (!exchange.refusal.ok()) return exchange.refusal;
  if (!code) return absl::CancelledError(absl::StrCat(WithoutQuery(request.url), ": cancelled"));
  if (*code != CURLE_OK && !exchange.has_head) return exchange.Failure(*code, request.url);
  exchange.TakeHead();
  if (!exchange.refusal.ok()) return exchange.refusal;
  exchange.response.cut = *code != CURLE_OK;
  if (exchange.response.cut) {
    exchange.response.cut_reason = std::string(exchange.Failure(*code, request.url).message());
  }
  return std::move(exchange.response);
}

std::string OriginOf(const std::string& url) {
  CURLU* parsed = curl_url();
  const absl::Cleanup cleanup = [&] { curl_url_cleanup(parsed); };
  if (curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "";
  const auto part = [&](CURLUPart which, unsigned int flags) {
    char* text = nullptr;
    if (curl_url_get(parsed, which, &text, flags) != CURLUE_OK) return std::string();
    std::string copy = absl::AsciiStrToLower(text);
    curl_free(text);
    return copy;
  };
  const std::string scheme = part(CURLUPART_SCHEME, 0);
  if (scheme != "http" && scheme != "https") return "";
  return absl::StrCat(scheme, "://", part(CURLUPART_HOST, 0), ":", part(CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::string WithoutQuery(const std::string& url) { return url.substr(0, url.find_first_of("?#")); }

}  // namespace induct::hub
