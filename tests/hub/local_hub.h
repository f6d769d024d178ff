// A hub in the test's own process, with one repository. Its API and small files are at 127.0.0.1; large files
// are in a storage on another host name and port, "localhost", to which it redirects, as huggingface.co does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/hub/hub_options.h"
#include "tests/hub/http_server.h"

namespace induct::hub {

inline constexpr char kTestRepo[] = "org/model";
inline constexpr char kTestCommit[] = "0123456789abcdef0123456789abcdef01234567";

class LocalHub {
 public:
  LocalHub();

  std::string endpoint() const;
  std::string storage_endpoint() const;

  // Puts a file at the commit; `is_large`: kept in the storage, its ETag the SHA-256, else git's SHA-1.
  void Put(const std::string& name, const std::string& bytes, bool is_large = false,
           const std::string& commit = kTestCommit);
  // Lets a branch or tag stand for the commit ("main" stands for kTestCommit).
  void PutRevision(const std::string& revision, const std::string& commit);
  static std::string EtagOf(const std::string& bytes, bool is_large);
  // config.json, tokenizer.json, tokenizer_config.json and model.safetensors (large, of `weight_bytes`).
  void PutModel(size_t weight_bytes = 3000);
  std::string BytesOf(const std::string& name, const std::string& commit = kTestCommit) const;

  // Changes the replies to requests whose "METHOD path" contains `part`: the next one only, or every one.
  using Change = std::function<void(const Request& request, Reply& reply)>;
  void OnNext(const std::string& part, Change change);
  void OnEvery(const std::string& part, Change change);

  // "METHOD path" of all requests, to the hub and to the storage.
  std::vector<std::string> asked() const;
  std::vector<Request> requests() const { return hub_->requests(); }
  std::vector<Request> storage_requests() const { return storage_->requests(); }
  // Those of both whose "METHOD path" contains `part`.
  std::vector<Request> RequestsFor(const std::string& part) const;
  void ForgetRequests();
  void Release();

 private:
  struct File {
    std::string bytes;
    std::string etag;
    bool is_large = false;
  };
  struct Script {
    std::string part;
    Change change;
    bool is_once = false;
  };

  Reply Answer(const Request& request, Reply (LocalHub::*make)(const Request&));
  Reply AnswerHub(const Request& request);
  Reply AnswerStorage(const Request& request);
  Reply Listing(const std::string& revision) const;
  Reply FileReply(const Request& request, const std::string& commit, const std::string& name);

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, File>> commits_;
  std::map<std::string, std::string> revisions_;
  std::vector<Script> scripts_;
  std::unique_ptr<HttpServer> storage_;
  std::unique_ptr<HttpServer> hub_;
};

// Bytes that are the same in every run and do not repeat soon.
std::string TestBytes(size_t n);

// Options for the hub, with retries that take no time.
HubOptions LocalOptions(const LocalHub& hub, const std::string& cache_dir);

}  // namespace induct::hub
