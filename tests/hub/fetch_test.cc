// What is downloaded from a hub that works, and where it is put.
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/hub/fetch_fixture.h"
#include "tests/metrics/told.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class FetchTest : public FetchFixture {};

TEST_F(FetchTest, DownloadsTheNeededFilesAndNothingElse) {
  hub_.PutModel();
  for (const char* file : {"README.md", "generation_config.json", "pytorch_model.bin", "flax_model.msgpack",
                           "onnx/model.onnx", "model.safetensors.index.json", "vocab.json"}) {
    hub_.Put(file, "not needed");
  }
  ExpectFetched();
  EXPECT_THAT(
      hub_.asked(),
      ElementsAre("GET /api/models/org/model/revision/main", "HEAD /org/model/resolve/COMMIT/config.json",
                  "HEAD /org/model/resolve/COMMIT/tokenizer.json",
                  "HEAD /org/model/resolve/COMMIT/tokenizer_config.json",
                  "HEAD /org/model/resolve/COMMIT/model.safetensors",
                  "GET /org/model/resolve/COMMIT/config.json", "GET /org/model/resolve/COMMIT/tokenizer.json",
                  "GET /org/model/resolve/COMMIT/tokenizer_config.json",
                  "GET /org/model/resolve/COMMIT/model.safetensors",
                  "GET /COMMIT/model.safetensors?signature=secret"));
  for (const Request& request : hub_.requests()) {
    EXPECT_EQ(request.Header("accept-encoding"), "identity");
    EXPECT_THAT(request.Header("user-agent"), testing::StartsWith("induct/"));
  }
}

TEST_F(FetchTest, BytesOfFilesAreToldAsTheyCome) {
  hub_.PutModel();
  metrics::Told told;
  options_.recorder = &told;
  ExpectFetched();
  uint64_t bytes = 0;
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"})
    bytes += hub_.BytesOf(file).size();
  EXPECT_EQ(told.sum("downloaded"), bytes);
  ExpectFetched();  // from the cache
  EXPECT_EQ(told.sum("downloaded"), bytes);
}

TEST_F(FetchTest, TheDiskOfACacheThatIsYetToBeMadeIsItsFolders) {
  const auto free = Hub::Create(options_).value()->FreeBytes();
  ASSERT_TRUE(free.has_value());
  options_.cache_dir += "/not/there";
  const auto free_later = Hub::Create(options_).value()->FreeBytes();
  ASSERT_TRUE(free_later.has_value());
  EXPECT_NEAR(static_cast<double>(*free_later), static_cast<double>(*free), 0.2 * static_cast<double>(*free));
  options_.cache_dir = "/proc/self/status/x";  // below a file
  EXPECT_EQ(Hub::Create(options_).value()->FreeBytes(), std::nullopt);
}

TEST_F(FetchTest, LaysTheCacheOutAsPythonDoes) {
  hub_.PutModel();
  ExpectFetched();
  EXPECT_EQ(ReadTestFile(repo() / "refs/main"), kTestCommit);
  for (const std::string file :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}) {
    const std::string etag = LocalHub::EtagOf(hub_.BytesOf(file), file == "model.safetensors");
    EXPECT_EQ(fs::read_symlink(InSnapshot(file)), "../../blobs/" + etag);
    EXPECT_EQ(ReadTestFile(repo() / "blobs" / etag), hub_.BytesOf(file));
    EXPECT_TRUE(fs::exists(folder_ / ".locks/models--org--model" / (etag + ".lock")));
  }
  size_t n_blobs = 0;
  for ([[maybe_unused]] const auto& blob : fs::directory_iterator(repo() / "blobs")) ++n_blobs;
  EXPECT_EQ(n_blobs, 4u);
}

TEST_F(FetchTest, WhatIsInTheCacheIsUsedWithoutARequest) {
  hub_.PutModel();
  ExpectFetched();
  hub_.ForgetRequests();
  ExpectFetched();
  ExpectFetched(kTestCommit);
  EXPECT_THAT(hub_.asked(), IsEmpty());
}

TEST_F(FetchTest, RevisionsWithSlashesAreEncodedAndNested) {
  hub_.PutModel();
  hub_.PutRevision("refs/pr/1", kTestCommit);
  ExpectFetched("refs/pr/1");
  EXPECT_EQ(hub_.asked().front(), "GET /api/models/org/model/revision/refs%2Fpr%2F1");
  EXPECT_EQ(ReadTestFile(repo() / "refs/refs/pr/1"), kTestCommit);
}

TEST_F(FetchTest, AnotherRevisionDownloadsOnlyWhatDiffers) {
  hub_.PutModel();
  const std::string next(40, 'b');
  hub_.PutRevision("step1", next);
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
    hub_.Put(file, hub_.BytesOf(file), false, next);
  }
  hub_.Put("model.safetensors", "other weights", true, next);
  ExpectFetched();
  hub_.ForgetRequests();
  const auto snapshot = Fetch("step1");
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(ReadTestFile(snapshot->directory + "/model.safetensors"), "other weights");
  EXPECT_EQ(ReadTestFile(snapshot->directory + "/config.json"), hub_.BytesOf("config.json"));
  EXPECT_THAT(hub_.RequestsFor("GET /org/model/resolve/"), testing::SizeIs(1));
}

TEST_F(FetchTest, ShardsAreThoseThatTheIndexNames) {
  for (const std::string suffix : {".safetensors", ".bin"}) {
    const std::string stem = suffix == ".bin" ? "pytorch_model" : "model";
    LocalHub hub;
    hub.Put("config.json", "{}");
    nlohmann::json index = {{"metadata", {{"total_size", 6}}}};
    index["weight_map"] = {
        {"a", stem + "-1" + suffix}, {"b", stem + "-2" + suffix}, {"c", stem + "-1" + suffix}};
    hub.Put(stem + suffix + ".index.json", index.dump());
    hub.Put(stem + "-1" + suffix, "one", true);
    hub.Put(stem + "-2" + suffix, "three", true);
    hub.Put(stem + "-3" + suffix, "not named", true);
    fs::remove_all(repo());
    options_ = LocalOptions(hub, folder_.string());
    const auto snapshot = Fetch();
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(ReadTestFile(InSnapshot(stem + "-1" + suffix)), "one");
    EXPECT_EQ(ReadTestFile(InSnapshot(stem + "-2" + suffix)), "three");
    EXPECT_THAT(hub.RequestsFor("-3"), IsEmpty());
    EXPECT_EQ(progress_.back().done_bytes, progress_.back().total_bytes);
    EXPECT_TRUE(Fetch().ok());
    EXPECT_THAT(hub.RequestsFor("/api/"), testing::SizeIs(1));
  }
}

TEST_F(FetchTest, ALookBringsTheSmallFilesAndTheSizeOfTheWeightsAlone) {
  hub_.PutModel();
  for (int look = 0; look < 2; ++look) {
    const auto outline = Look();
    ASSERT_TRUE(outline.ok()) << outline.status();
    EXPECT_EQ(outline->commit, kTestCommit);
    EXPECT_EQ(outline->weight_bytes, hub_.BytesOf("model.safetensors").size());
    for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json"}) {
      EXPECT_EQ(ReadTestFile(outline->directory + "/" + file), hub_.BytesOf(file));
    }
  }
  EXPECT_THAT(hub_.storage_requests(), IsEmpty());
  EXPECT_THAT(hub_.RequestsFor("GET /org/model/resolve/"), testing::SizeIs(3)) << "each file once";
  EXPECT_FALSE(Hub::Create(options_).value()->Find({kTestRepo}).ok()) << "the model is not here";
  EXPECT_THAT(Hub::Create(options_).value()->List(), IsEmpty());
  ExpectFetched();
  EXPECT_THAT(hub_.RequestsFor("GET /org/model/resolve/"), testing::SizeIs(4)) << "the weights alone";
}

TEST_F(FetchTest, ALookAddsUpShardsAndToleratesAHubThatSaysNoSize) {
  hub_.Put("config.json", "{}");
  hub_.Put("model.safetensors.index.json",
           R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})");
  hub_.Put("model-1.safetensors", "one", true);
  hub_.Put("model-2.safetensors", "three", true);
  EXPECT_EQ(Look()->weight_bytes, 8u);
  hub_.OnEvery(std::string("HEAD /org/model/resolve/") + kTestCommit + "/model-1",
               [](const Request&, Reply& reply) { reply.headers.erase("X-Linked-Size"); });
  EXPECT_EQ(Look()->weight_bytes, std::nullopt);
}

TEST_F(FetchTest, AShardThatTheRepositoryLacksIsNamed) {
  hub_.Put("config.json", "{}");
  hub_.Put("model.safetensors.index.json", R"({"weight_map": {"a": "model-1.safetensors"}})");
  ExpectError(Fetch().status(), absl::StatusCode::kFailedPrecondition, reason::kUnsupportedModel,
              "no model-1.safetensors, which model.safetensors.index.json names");
}

TEST_F(FetchTest, ARepositoryWithoutAModelSaysWhatItHolds) {
  hub_.Put("README.md", "x");
  ExpectError(Fetch().status(), absl::StatusCode::kFailedPrecondition, reason::kUnsupportedModel,
              "'org/model@main' holds no config.json; its 1 files: 'README.md'");
  hub_.Put("config.json", "{}");
  hub_.Put("model.gguf", "x");
  ExpectError(Fetch().status(), absl::StatusCode::kFailedPrecondition, reason::kUnsupportedModel,
              "no weights as safetensors or pytorch_model.bin");
}

TEST_F(FetchTest, AnAbsentTokenizerIsRemembered) {
  hub_.Put("config.json", "{}");
  hub_.Put("model.safetensors", "w", true);
  ExpectFetched();
  EXPECT_TRUE(fs::exists(repo() / ".no_exist" / kTestCommit / "tokenizer.json"));
  hub_.ForgetRequests();
  ExpectFetched();
  EXPECT_THAT(hub_.asked(), IsEmpty());
}

TEST_F(FetchTest, AMissingTokenizerIsFetchedAloneAndNotInsistedOn) {
  hub_.PutModel();
  ExpectFetched();
  fs::remove(InSnapshot("tokenizer.json"));
  fs::remove(Blob("tokenizer.json"));
  hub_.ForgetRequests();

  hub_.OnNext("/api/", [](const Request&, Reply& reply) { reply.status = 503; });
  ExpectFetched();
  EXPECT_THAT(hub_.asked(), testing::SizeIs(1));
  EXPECT_FALSE(fs::exists(InSnapshot("tokenizer.json")));

  ExpectFetched();
  EXPECT_EQ(ReadTestFile(InSnapshot("tokenizer.json")), hub_.BytesOf("tokenizer.json"));
  EXPECT_THAT(hub_.storage_requests(), IsEmpty());
}

TEST_F(FetchTest, AMissingTokenizerIsThatOfTheCachedCommitWhereverTheBranchIsNow) {
  hub_.PutModel();
  ExpectFetched();
  fs::remove(InSnapshot("tokenizer.json"));
  const std::string newer(40, 'b');
  hub_.Put("config.json", "{}", /*is_large=*/false, newer);
  hub_.Put("model.safetensors", "other weights", /*is_large=*/true, newer);
  hub_.PutRevision("main", newer);
  hub_.ForgetRequests();

  ExpectFetched();
  EXPECT_EQ(ReadTestFile(InSnapshot("tokenizer.json")), hub_.BytesOf("tokenizer.json"));
  EXPECT_EQ(ReadTestFile(repo() / "refs/main"), kTestCommit);
  EXPECT_THAT(hub_.storage_requests(), IsEmpty());
}

TEST_F(FetchTest, OfflineNobodyLooks) {
  hub_.PutModel();
  options_.offline = true;
  ExpectError(Look().status(), absl::StatusCode::kNotFound, reason::kModelNotFound, "HF_HUB_OFFLINE");
  EXPECT_THAT(hub_.asked(), IsEmpty());
}

TEST_F(FetchTest, OfflineNothingIsAsked) {
  hub_.PutModel();
  options_.offline = true;
  ExpectRefused(absl::StatusCode::kNotFound, reason::kModelNotFound, "HF_HUB_OFFLINE");
  options_.offline = false;
  ExpectFetched();
  hub_.ForgetRequests();
  options_.offline = true;
  ExpectFetched();
  EXPECT_THAT(hub_.asked(), IsEmpty());
}

TEST_F(FetchTest, WithoutSymlinksASnapshotHoldsFiles) {
  hub_.PutModel();
  options_.use_symlinks = false;
  ExpectFetched();
  EXPECT_FALSE(fs::is_symlink(InSnapshot("model.safetensors")));
  EXPECT_FALSE(fs::exists(WeightBlob()));
  // A blob that was there already belongs to another snapshot too: it is copied.
  fs::remove_all(repo());
  WriteTestFile(WeightBlob(), hub_.BytesOf("model.safetensors"));
  ExpectFetched();
  EXPECT_FALSE(fs::is_symlink(InSnapshot("model.safetensors")));
  EXPECT_TRUE(fs::exists(WeightBlob()));
}

TEST_F(FetchTest, ALinkWhoseBlobIsGoneIsReplaced) {
  hub_.PutModel();
  ExpectFetched();
  fs::remove(WeightBlob());
  ExpectFetched();
}

TEST_F(FetchTest, ABlobOfTheWrongSizeIsDownloadedAnew) {
  hub_.PutModel();
  WriteTestFile(WeightBlob(), "half of it, left by a crash");
  ExpectFetched();
}

TEST_F(FetchTest, TheTokenGoesToTheEndpointAlone) {
  hub_.PutModel();
  options_.token = "hf_secret";
  ExpectFetched();
  for (const Request& request : hub_.requests())
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret");
  ASSERT_THAT(hub_.storage_requests(), Not(IsEmpty()));
  for (const Request& request : hub_.storage_requests()) EXPECT_EQ(request.Header("authorization"), "");
}

TEST_F(FetchTest, WithoutATokenNobodyGetsOne) {
  hub_.PutModel();
  ExpectFetched();
  for (const Request& request : hub_.requests()) EXPECT_FALSE(request.headers.contains("authorization"));
}

TEST_F(FetchTest, ARenamedRepositoryIsFollowed) {
  hub_.PutModel();
  options_.token = "hf_secret";
  LocalHub* hub = &hub_;
  auto redirect = [hub](const std::string& from, const std::string& to) {
    hub->OnEvery(from, [to](const Request&, Reply& reply) {
      reply = Reply{.status = 307, .headers = {{"Location", to}}};
    });
  };
  const std::string resolve = std::string("/org/model/resolve/") + kTestCommit + "/";
  redirect("/api/models/org/old/revision/main", "/api/models/org/model/revision/main");
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}) {
    redirect(std::string("/org/old/resolve/") + kTestCommit + "/" + file, resolve + file);
  }
  const auto snapshot = (*Hub::Create(options_))->Fetch({"org/old", "main"}, {}, {});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_THAT(snapshot->directory, HasSubstr("models--org--old"));
  for (const Request& request : hub_.requests())
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret");
}

TEST_F(FetchTest, AMirrorThatRedirectsToAnotherHubIsFollowedWithoutTheToken) {
  hub_.PutModel();
  HttpServer mirror([&](const Request& request) {
    return Reply{.status = 302, .headers = {{"Location", hub_.endpoint() + request.path}}};
  });
  options_.endpoint = "http://127.0.0.1:" + std::to_string(mirror.port());
  options_.token = "hf_secret";
  ExpectFetched();
  for (const Request& request : mirror.requests())
    EXPECT_EQ(request.Header("authorization"), "Bearer hf_secret");
  for (const Request& request : hub_.requests()) EXPECT_EQ(request.Header("authorization"), "");
}

TEST_F(FetchTest, AFileMayComeWithoutItsSizeAndEncoded) {
  hub_.PutModel();
  hub_.OnEvery("config.json", [](const Request&, Reply& reply) { reply.say_no_length = true; });
  // "{}" as gzip, whatever was asked for.
  hub_.OnEvery("resolve/0123456789abcdef0123456789abcdef01234567/tokenizer_config.json", [](const Request&,
                                                                                            Reply& reply) {
    reply.body = std::string(
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00", 22);
    reply.headers["Content-Encoding"] = "gzip";
  });
  ExpectFetched();
  EXPECT_EQ(ReadTestFile(InSnapshot("config.json")), hub_.BytesOf("config.json"));
  EXPECT_EQ(ReadTestFile(InSnapshot("tokenizer_config.json")), "{}");
}

TEST_F(FetchTest, ProgressRisesToTheTotal) {
  hub_.PutModel(2 << 20);
  ExpectFetched();
  uint64_t total = 0;
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"}) {
    total += hub_.BytesOf(file).size();
  }
  EXPECT_EQ(progress_.front().total_bytes, 0u);
  EXPECT_EQ(progress_.back().total_bytes, total);
  EXPECT_EQ(progress_.back().done_bytes, total);
  EXPECT_EQ(progress_.back().file, "model.safetensors");
  for (size_t i = 1; i < progress_.size(); ++i)
    EXPECT_GE(progress_[i].done_bytes, progress_[i - 1].done_bytes);
}

TEST_F(FetchTest, ThreadsThatWantTheSameModelDownloadItOnce) {
  hub_.PutModel(1 << 20);
  const auto hub = *Hub::Create(options_);
  std::vector<absl::Status> results(4);
  {
    std::vector<std::jthread> threads;
    for (absl::Status& result : results) {
      threads.emplace_back([&] { result = hub->Fetch({kTestRepo, "main"}, {}, {}).status(); });
    }
  }
  for (const absl::Status& result : results) EXPECT_TRUE(result.ok()) << result;
  EXPECT_THAT(hub_.RequestsFor(kWeightsAtStorage), testing::SizeIs(1));
}

}  // namespace
}  // namespace induct::hub
