// The three requests that are made to a hub: what a revision consists of, what one file is, and its bytes.
// Here stands who gets the token: the endpoint's own scheme, host and port, and nobody whom a redirect names.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/hub/http_client.h"
#include "server/hub/hub_options.h"
#include "server/hub/repo_revision.h"

namespace induct::hub {

struct RepoListing {
  std::string commit;
  std::vector<std::string> files;  // as the hub gives them: not checked, with folders
};

// A file at a commit. `etag` is fit to be a file's name.
struct RemoteFile {
  std::string name;
  std::string etag;              // SHA-256, or git's SHA-1, of the bytes, in all that huggingface.co serves
  std::optional<uint64_t> size;  // not every hub says it beforehand
};

// Requests about one revision of one repository. Each method makes one attempt (with the redirects it takes).
// Errors: UNAVAILABLE, see TryAgainError, where another attempt may help; NOT_FOUND (MODEL_NOT_FOUND) where
// the hub has no such thing or does not show it; FAILED_PRECONDITION with reason HUB_ACCESS_DENIED, or
// HUB_UNAVAILABLE where further attempts will meet the same; CANCELLED. Used by one thread at a time.
class HubClient {
 public:
  // `options` must outlive the client.
  HubClient(const HubOptions& options, RepoRevision wanted, std::stop_token stop);

  absl::StatusOr<RepoListing> List();
  absl::StatusOr<RemoteFile> Stat(const std::string& commit, const std::string& file);
  // The file's bytes from `offset` on, into `sink`: status 206, or 200 from a server that starts at 0 anyway.
  // The response may be cut, or have status 416.
  absl::StatusOr<HttpResponse> Get(const std::string& commit, const std::string& file, uint64_t offset,
                                   ResponseSink& sink);

 private:
  absl::StatusOr<HttpResponse> SendMetadataRequest(const std::string& method, const std::string& url,
                                                   ResponseSink& sink);
  absl::StatusOr<HttpResponse> FollowRedirects(HttpRequest request, ResponseSink& sink);
  bool IsAnswerAboutFile(const HttpRequest& request, const HttpResponse& response) const;
  std::vector<std::string> HeadersFor(const std::string& url, const std::vector<std::string>& own) const;
  std::string FileUrl(const std::string& commit, const std::string& file) const;

  // What a status other than 2xx means.
  absl::Status ErrorOf(const HttpResponse& response) const;
  absl::Status AccessDenied(const std::string& why) const;
  absl::Status NotFound(const HttpResponse& response) const;

  const HubOptions& options_;
  const RepoRevision wanted_;
  const std::stop_token stop_;
  const std::string origin_;
  HttpClient http_;
};

// FAILED_PRECONDITION (HUB_UNAVAILABLE) where a redirect from one URL to another must not be followed: to
// what is no http or https address, or from https to http.
absl::Status CheckRedirect(const std::string& from, const std::string& to);

}  // namespace induct::hub
