#include "server/hub/hub_client.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/quoted.h"
#include "common/status.h"
#include "server/hub/hub_json.h"
#include "server/hub/retry.h"

namespace induct::hub {
namespace {

using nlohmann::json;

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxListingBytes = size_t{32} << 20;
constexpr size_t kMaxEtag = 128;
// A listing or the head of a file comes within so many times what the options give for an answer.
constexpr int kMetadataPatience = 6;

// A body that is kept as text.
class TextSink : public ResponseSink {
 public:
  absl::Status OnHead(const HttpResponse&) override { return absl::OkStatus(); }
  absl::Status OnBody(std::string_view bytes) override {
    if (text.size() + bytes.size() > kMaxListingBytes) {
      return absl::FailedPreconditionError(
          absl::StrCat("the answer is longer than ", kMaxListingBytes, " bytes"));
    }
    text.append(bytes);
    return absl::OkStatus();
  }

  std::string text;
};

absl::Status UnusableHub(const std::string& message) {
  return WithReason(absl::FailedPreconditionError(message), reason::kHubUnavailable);
}

bool IsRedirect(const HttpResponse& response) {
  return response.status / 100 == 3 && !response.redirect_url.empty();
}

// 'W/"abc"' -> 'abc'.
std::string BareEtag(absl::string_view etag) {
  absl::ConsumePrefix(&etag, "W/");
  absl::ConsumePrefix(&etag, "\"");
  absl::ConsumeSuffix(&etag, "\"");
  return std::string(etag);
}

std::string EtagOf(const HttpResponse& response) {
  const std::string linked = response.Header("x-linked-etag");
  return BareEtag(linked.empty() ? response.Header("etag") : linked);
}

std::optional<uint64_t> SizeOf(const HttpResponse& response) {
  std::string text = response.Header("x-linked-size");
  const bool is_encoded = !response.Header("content-encoding").empty();
  if (text.empty() && !IsRedirect(response) && !is_encoded) text = response.Header("content-length");
  uint64_t size = 0;
  if (!absl::SimpleAtoi(text, &size)) return std::nullopt;
  return size;
}

absl::StatusOr<RepoListing> ParseListing(const std::string& text, const std::string& url) {
  const json document = ParseFields(text, {"sha", "siblings"});
  const auto sha = document.find("sha");
  const auto siblings = document.find("siblings");
  if (sha == document.end() || !sha->is_string() || !IsCommit(sha->get_ref<const std::string&>()) ||
      siblings == document.end() || !siblings->is_array()) {
    return UnusableHub(
        absl::StrCat(url, ": the answer is no listing of a repository; does HF_ENDPOINT name a hub?"));
  }
  RepoListing listing{.commit = sha->get<std::string>()};
  for (const json& sibling : *siblings) {
    if (!sibling.is_object()) continue;
    const auto name = sibling.find("rfilename");
    if (name != sibling.end() && name->is_string()) listing.files.push_back(name->get<std::string>());
  }
  return listing;
}

}  // namespace

HubClient::HubClient(const HubOptions& options, RepoRevision wanted, std::stop_token stop)
    : options_(options),
      wanted_(std::move(wanted)),
      stop_(std::move(stop)),
      origin_(OriginOf(options.endpoint)) {}

absl::StatusOr<RepoListing> HubClient::List() {
  const std::string url = absl::StrCat(options_.endpoint, "/api/models/", wanted_.repo, "/revision/",
                                       UrlEncoded(wanted_.revision));
  TextSink sink;
  INDUCT_ASSIGN_OR_RETURN(const HttpResponse response, SendMetadataRequest("GET", url, sink));
  if (response.status != 200) return ErrorOf(response);
  if (response.cut) return TryAgainError(response.cut_reason);
  INDUCT_ASSIGN_OR_RETURN(RepoListing listing, ParseListing(sink.text, url));
  if (IsCommit(wanted_.revision) && listing.commit != wanted_.revision) {
    return UnusableHub(absl::StrCat(url, ": the hub answers for commit ", Quoted(listing.commit)));
  }
  return listing;
}

absl::StatusOr<RemoteFile> HubClient::Stat(const std::string& commit, const std::string& file) {
  TextSink none;
  INDUCT_ASSIGN_OR_RETURN(const HttpResponse response,
                          SendMetadataRequest("HEAD", FileUrl(commit, file), none));
  if (response.status != 200 && !IsRedirect(response)) return ErrorOf(response);
  RemoteFile remote{.name = file, .etag = EtagOf(response), .size = SizeOf(response)};
  if (remote.etag.size() > kMaxEtag || !IsPlainFileName(remote.etag)) {
    return UnusableHub(absl::StrCat(response.url, ": the answer has no usable ETag (", Quoted(remote.etag),
                                    "); does HF_ENDPOINT name a hub?"));
  }
  const std::string other_commit = response.Header("x-repo-commit");
  if (!other_commit.empty() && other_commit != commit) {
    return UnusableHub(absl::StrCat(response.url, ": the hub answers for commit ", Quoted(other_commit)));
  }
  return remote;
}

absl::StatusOr<HttpResponse> HubClient::Get(const std::string& commit, const std::string& file,
                                            uint64_t offset, ResponseSink& sink) {
  HttpRequest request{.url = FileUrl(commit, file),
                      .connect_timeout = options_.metadata_timeout,
                      .stall_timeout = options_.stall_timeout};
  if (offset > 0) request.headers.push_back(absl::StrCat("Range: bytes=", offset, "-"));
  INDUCT_ASSIGN_OR_RETURN(HttpResponse response, FollowRedirects(request, sink));
  if (response.status == 200 || response.status == 206 || response.status == 416) return response;
  // Elsewhere, a refusal is about the address that the hub gave us, and the next attempt gets a new one.
  if (OriginOf(response.url) == origin_) return ErrorOf(response);
  return TryAgainError(absl::StrCat(WithoutQuery(response.url), ": HTTP status ", response.status),
                       response.retry_after);
}

absl::StatusOr<HttpResponse> HubClient::SendMetadataRequest(const std::string& method, const std::string& url,
                                                            ResponseSink& sink) {
  return FollowRedirects({.method = method,
                          .url = url,
                          .connect_timeout = options_.metadata_timeout,
                          .stall_timeout = options_.metadata_timeout,
                          .total_timeout = kMetadataPatience * options_.metadata_timeout},
                         sink);
}

absl::StatusOr<HttpResponse> HubClient::FollowRedirects(HttpRequest request, ResponseSink& sink) {
  const std::vector<std::string> own_headers = std::move(request.headers);
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    request.headers = HeadersFor(request.url, own_headers);
    absl::StatusOr<HttpResponse> response = http_.Send(request, sink, stop_);
    if (absl::IsFailedPrecondition(response.status()) && ReasonOf(response.status()).empty()) {
      return UnusableHub(std::string(response.status().message()));
    }
    if (!response.ok() || !IsRedirect(*response) || IsAnswerAboutFile(request, *response)) return response;
    INDUCT_RETURN_IF_ERROR(CheckRedirect(response->url, response->redirect_url));
    request.url = response->redirect_url;
  }
  return UnusableHub(absl::StrCat(WithoutQuery(request.url), ": more than ", kMaxRedirects, " redirects"));
}

// The redirect from a hub to the storage of a large file says itself what the file is; the storage would not.
bool HubClient::IsAnswerAboutFile(const HttpRequest& request, const HttpResponse& response) const {
  return request.method == "HEAD" && !EtagOf(response).empty() &&
         OriginOf(response.redirect_url) != OriginOf(response.url);
}

absl::Status CheckRedirect(const std::string& from, const std::string& to) {
  const std::string scheme_and_host = OriginOf(to);
  if (scheme_and_host.empty()) {
    return UnusableHub(absl::StrCat(WithoutQuery(from), ": redirects to ", Quoted(WithoutQuery(to)),
                                    ", which is no http or https address; not followed"));
  }
  if (absl::StartsWith(OriginOf(from), "https:") && !absl::StartsWith(scheme_and_host, "https:")) {
    return UnusableHub(absl::StrCat(WithoutQuery(from), ": redirects to ", Quoted(WithoutQuery(to)),
                                    ", which gives up TLS; not followed"));
  }
  return absl::OkStatus();
}

std::vector<std::string> HubClient::HeadersFor(const std::string& url,
                                               const std::vector<std::string>& own) const {
  std::vector<std::string> headers = own;
  if (!options_.token.empty() && OriginOf(url) == origin_) {
    headers.push_back(absl::StrCat("Authorization: Bearer ", options_.token));
  }
  return headers;
}

std::string HubClient::FileUrl(const std::string& commit, const std::string& file) const {
  return absl::StrCat(options_.endpoint, "/", wanted_.repo, "/resolve/", commit, "/", UrlEncoded(file));
}

absl::Status HubClient::ErrorOf(const HttpResponse& response) const {
  const std::string code = response.Header("x-error-code");
  if (response.status == 408 || response.status == 429 || response.status >= 500) {
    return TryAgainError(absl::StrCat(WithoutQuery(response.url), ": HTTP status ", response.status),
                         response.retry_after);
  }
  if (code == "GatedRepo" || response.status == 403) return AccessDenied("access to it is restricted");
  if (absl::StrContains(response.Header("x-error-message"), "Invalid credentials")) {
    return AccessDenied("the hub does not accept the token");
  }
  if (response.status == 401 || response.status == 404) return NotFound(response);
  return UnusableHub(absl::StrCat(WithoutQuery(response.url), ": HTTP status ", response.status));
}

absl::Status HubClient::AccessDenied(const std::string& why) const {
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(
          Describe(wanted_), ": ", why, "; ask for access at ", options_.endpoint, "/", wanted_.repo,
          options_.token.empty() ? " and set HF_TOKEN" : " with the account that HF_TOKEN belongs to")),
      reason::kHubAccessDenied);
}

absl::Status HubClient::NotFound(const HttpResponse& response) const {
  const std::string code = response.Header("x-error-code");
  std::string message;
  if (code == "RevisionNotFound") {
    message = absl::StrCat(Quoted(wanted_.repo), " has no revision ", Quoted(wanted_.revision), " at ",
                           options_.endpoint, "; name a branch, a tag or a commit that it has");
  } else if (code == "EntryNotFound") {
    message = absl::StrCat(Describe(wanted_), ": ", WithoutQuery(response.url), " does not exist");
  } else {
    message = absl::StrCat(Describe(wanted_), ": there is no repository ", Quoted(wanted_.repo), " at ",
                           options_.endpoint,
                           options_.token.empty() ? ", or it is private: then set HF_TOKEN"
                                                  : ", or the token in HF_TOKEN may not see it");
  }
  return WithReason(absl::NotFoundError(message), reason::kModelNotFound);
}

}  // namespace induct::hub
