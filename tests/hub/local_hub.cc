#include "tests/hub/local_hub.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/sha256.h"

namespace induct::hub {
namespace {

Reply Plain(int status, const std::string& body = "") {
  Reply reply;
  reply.status = status;
  reply.body = body;
  return reply;
}

Reply NotFoundReply(const std::string& code) {
  Reply reply = Plain(404, "not found");
  if (!code.empty()) reply.headers["X-Error-Code"] = code;
  return reply;
}

// "bytes=100-"
Reply Ranged(const Request& request, const std::string& bytes) {
  const std::string header = request.Header("range");
  absl::string_view range = header;
  size_t first = 0;
  if (!absl::ConsumePrefix(&range, "bytes=") || !absl::SimpleAtoi(absl::StripSuffix(range, "-"), &first)) {
    return Plain(200, bytes);
  }
  if (first >= bytes.size()) return Plain(416);
  Reply reply = Plain(206, bytes.substr(first));
  reply.headers["Content-Range"] = absl::StrCat("bytes ", first, "-", bytes.size() - 1, "/", bytes.size());
  return reply;
}

}  // namespace

LocalHub::LocalHub() : revisions_({{"main", kTestCommit}}) {
  storage_ = std::make_unique<HttpServer>(
      [this](const Request& request) { return Answer(request, &LocalHub::AnswerStorage); });
  hub_ = std::make_unique<HttpServer>(
      [this](const Request& request) { return Answer(request, &LocalHub::AnswerHub); });
}

std::string LocalHub::endpoint() const { return absl::StrCat("http://127.0.0.1:", hub_->port()); }
std::string LocalHub::storage_endpoint() const { return absl::StrCat("http://localhost:", storage_->port()); }

void LocalHub::Put(const std::string& name, const std::string& bytes, bool is_large,
                   const std::string& commit) {
  const std::lock_guard lock(mutex_);
  commits_[commit][name] = {bytes, EtagOf(bytes, is_large), is_large};
}

void LocalHub::PutRevision(const std::string& revision, const std::string& commit) {
  const std::lock_guard lock(mutex_);
  revisions_[revision] = commit;
}

std::string LocalHub::EtagOf(const std::string& bytes, bool is_large) {
  if (is_large) return Sha256Hex(bytes);
  const std::string blob = absl::StrCat("blob ", bytes.size(), std::string(1, '\0'), bytes);
  unsigned char sum[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  EVP_Digest(blob.data(), blob.size(), sum, &n, EVP_sha1(), nullptr);
  return absl::BytesToHexString(std::string(reinterpret_cast<char*>(sum), n));
}

void LocalHub::PutModel(size_t weight_bytes) {
  Put("config.json", R"({"model_type": "gpt_neox"})");
  Put("tokenizer.json", R"({"version": "1.0"})");
  Put("tokenizer_config.json", "{}");
  Put("model.safetensors", TestBytes(weight_bytes), /*is_large=*/true);
}

std::string LocalHub::BytesOf(const std::string& name, const std::string& commit) const {
  const std::lock_guard lock(mutex_);
  return commits_.at(commit).at(name).bytes;
}

void LocalHub::OnNext(const std::string& part, Change change) {
  const std::lock_guard lock(mutex_);
  scripts_.push_back({part, std::move(change), /*is_once=*/true});
}

void LocalHub::OnEvery(const std::string& part, Change change) {
  const std::lock_guard lock(mutex_);
  scripts_.push_back({part, std::move(change), /*is_once=*/false});
}

std::vector<Request> LocalHub::RequestsFor(const std::string& part) const {
  std::vector<Request> matching;
  for (const auto& all : {hub_->requests(), storage_->requests()}) {
    for (const Request& request : all) {
      if (absl::StrContains(absl::StrCat(request.method, " ", request.path), part))
        matching.push_back(request);
    }
  }
  return matching;
}

std::vector<std::string> LocalHub::asked() const {
  std::vector<std::string> asked;
  for (const Request& request : RequestsFor("")) {
    asked.push_back(
        absl::StrReplaceAll(absl::StrCat(request.method, " ", request.path), {{kTestCommit, "COMMIT"}}));
  }
  return asked;
}

void LocalHub::ForgetRequests() {
  hub_->ForgetRequests();
  storage_->ForgetRequests();
}

void LocalHub::Release() {
  hub_->Release();
  storage_->Release();
}

Reply LocalHub::Answer(const Request& request, Reply (LocalHub::*make)(const Request&)) {
  const std::lock_guard lock(mutex_);
  Reply reply = (this->*make)(request);
  const std::string line = absl::StrCat(request.method, " ", request.path);
  for (auto script = scripts_.begin(); script != scripts_.end(); ++script) {
    if (!absl::StrContains(line, script->part)) continue;
    script->change(request, reply);
    if (script->is_once) {
      scripts_.erase(script);
      break;
    }
  }
  return reply;
}

Reply LocalHub::AnswerHub(const Request& request) {
  const std::string api = absl::StrCat("/api/models/", kTestRepo, "/revision/");
  const std::string files = absl::StrCat("/", kTestRepo, "/resolve/");
  if (absl::StartsWith(request.path, api)) {
    return Listing(absl::StrReplaceAll(request.path.substr(api.size()), {{"%2F", "/"}}));
  }
  if (!absl::StartsWith(request.path, files)) return NotFoundReply("RepoNotFound");
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(request.path.substr(files.size()), absl::MaxSplits('/', 1));
  return FileReply(request, parts.first, parts.second);
}

Reply LocalHub::Listing(const std::string& revision) const {
  const auto named = revisions_.find(revision);
  const std::string commit = named == revisions_.end() ? revision : named->second;
  const auto files = commits_.find(commit);
  if (files == commits_.end()) return NotFoundReply("RevisionNotFound");
  nlohmann::json listing = {{"id", kTestRepo}, {"sha", commit}, {"siblings", nlohmann::json::array()}};
  for (const auto& [name, file] : files->second) listing["siblings"].push_back({{"rfilename", name}});
  return Plain(200, listing.dump());
}

Reply LocalHub::FileReply(const Request& request, const std::string& commit, const std::string& name) {
  if (!commits_.contains(commit) || !commits_[commit].contains(name)) return NotFoundReply("EntryNotFound");
  const File& file = commits_[commit][name];
  Reply reply = file.is_large ? Plain(302) : Ranged(request, file.bytes);
  reply.headers["X-Repo-Commit"] = commit;
  reply.headers["ETag"] = absl::StrCat("\"", file.etag, "\"");
  if (file.is_large) {
    reply.headers["X-Linked-Etag"] = absl::StrCat("\"", file.etag, "\"");
    reply.headers["X-Linked-Size"] = absl::StrCat(file.bytes.size());
    reply.headers["Location"] = absl::StrCat(storage_endpoint(), "/", commit, "/", name, "?signature=secret");
  }
  return reply;
}

Reply LocalHub::AnswerStorage(const Request& request) {
  const std::vector<std::string> parts = absl::StrSplit(request.path, absl::ByAnyChar("/?"));
  if (parts.size() < 3 || !commits_.contains(parts[1]) || !commits_[parts[1]].contains(parts[2]))
    return Plain(404);
  Reply reply = Ranged(request, commits_[parts[1]][parts[2]].bytes);
  reply.headers["ETag"] = "\"of-the-storage\"";
  return reply;
}

std::string TestBytes(size_t n) {
  std::mt19937_64 random(7);
  std::string bytes;
  bytes.reserve(n + sizeof(uint64_t));
  while (bytes.size() < n) {
    const uint64_t word = random();
    bytes.append(reinterpret_cast<const char*>(&word), sizeof(word));
  }
  bytes.resize(n);
  return bytes;
}

HubOptions LocalOptions(const LocalHub& hub, const std::string& cache_dir) {
  HubOptions options;
  options.endpoint = hub.endpoint();
  options.cache_dir = cache_dir;
  options.retry.first_delay = absl::Milliseconds(1);
  options.retry.max_delay = absl::Milliseconds(5);
  options.retry.max_retry_after = absl::Milliseconds(20);
  return options;
}

}  // namespace induct::hub
