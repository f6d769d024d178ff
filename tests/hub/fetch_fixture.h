// A local hub and an empty cache.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/hub/hub.h"
#include "tests/hub/hub_fixture.h"
#include "tests/hub/local_hub.h"

namespace induct::hub {

class FetchFixture : public CacheFolder {
 protected:
  FetchFixture() : options_(LocalOptions(hub_, folder_.string())) {}

  absl::StatusOr<Snapshot> Fetch(const std::string& revision = "main", std::stop_token stop = {}) const {
    auto hub = Hub::Create(options_);
    EXPECT_TRUE(hub.ok()) << hub.status();
    progress_.clear();
    return (*hub)->Fetch(
        {kTestRepo, revision}, [&](const auto& now) { progress_.push_back(now); }, stop);
  }
  absl::StatusOr<Outline> Look() const { return Hub::Create(options_).value()->Look({kTestRepo}, {}); }
  void ExpectFetched(const std::string& revision = "main") const {
    const auto snapshot = Fetch(revision);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(ReadTestFile(snapshot->directory + "/model.safetensors"), hub_.BytesOf("model.safetensors"));
  }
  // And that nothing of the weights stands where a reader would look, and nothing that could be resumed.
  void ExpectRefused(absl::StatusCode code, const std::string& reason, const std::string& text) const {
    ExpectError(Fetch().status(), code, reason, text);
    EXPECT_FALSE(std::filesystem::exists(InSnapshot("model.safetensors")));
    EXPECT_FALSE(std::filesystem::exists(WeightBlob()));
  }

  std::filesystem::path repo() const { return folder_ / "models--org--model"; }
  std::filesystem::path InSnapshot(const std::string& file) const {
    return repo() / "snapshots" / kTestCommit / file;
  }
  std::filesystem::path Blob(const std::string& file, bool is_large = false) const {
    return repo() / "blobs" / LocalHub::EtagOf(hub_.BytesOf(file), is_large);
  }
  std::filesystem::path WeightBlob() const { return Blob("model.safetensors", /*is_large=*/true); }
  std::string Incomplete() const { return WeightBlob().string() + ".incomplete"; }
  std::vector<std::string> RangesAskedFor() const {
    std::vector<std::string> ranges;
    for (const Request& request : hub_.storage_requests()) ranges.push_back(request.Header("range"));
    return ranges;
  }
  // All that was told while progress stood still.
  std::string Notes() const {
    std::string notes;
    for (const DownloadProgress& now : progress_) notes += now.note + "\n";
    return notes;
  }

  // Requests for the weights themselves, at the storage.
  const std::string kWeightsAtStorage = std::string("GET /") + kTestCommit + "/model.safetensors";

  LocalHub hub_;
  HubOptions options_;
  mutable std::vector<DownloadProgress> progress_;
};

}  // namespace induct::hub
