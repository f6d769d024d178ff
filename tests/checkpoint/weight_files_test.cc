#include "server/checkpoint/weight_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "common/shard_limits.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;
using testing::ElementsAre;

class WeightFilesTest : public CheckpointFolder {
 protected:
  absl::StatusOr<std::unique_ptr<WeightFiles>> Open() const { return WeightFiles::Open(folder_.string()); }

  // A file of float32 tensors of one number each; `values` says which.
  void WriteShard(const std::string& file, const std::vector<std::pair<std::string, float>>& values) const {
    uint64_t offset = 0;
    json header;
    std::string data;
    for (const auto& [name, value] : values) {
      header[name] = TensorEntry({1}, "F32", 4, offset);
      data.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    Write(file, SafetensorsBytes(header.dump(), data));
  }
  void WriteIndex(const json& weight_map) const {
    Write("model.safetensors.index.json",
          json{{"metadata", {{"total_size", 12}}}, {"weight_map", weight_map}}.dump());
  }
  // Two shards: a in the first, b and c in the second.
  void WriteTwoShards() const {
    WriteShard("model-1.safetensors", {{"a", 1.0f}});
    WriteShard("model-2.safetensors", {{"b", 2.0f}, {"c", 3.0f}});
  }
  const json kTwoShards = {
      {"a", "model-1.safetensors"}, {"b", "model-2.safetensors"}, {"c", "model-2.safetensors"}};
};

float ReadNumber(const WeightFiles& weights, const std::string& name) {
  const auto tensor = weights.Find(name);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  float value = -1;
  if (tensor.ok()) {
    EXPECT_TRUE(weights.Read(**tensor, 0, std::as_writable_bytes(std::span(&value, 1))).ok());
  }
  return value;
}

TEST_F(WeightFilesTest, ReadsPartsOfATensor) {
  Write("model.safetensors", SafetensorsBytes(R"({"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},)"
                                              R"("w":{"dtype":"F16","shape":[2,2],"data_offsets":[2,10]}})",
                                              "aa12345678"));
  const auto weights = Open();
  ASSERT_TRUE(weights.ok()) << weights.status();
  const auto tensor = (*weights)->Find("w");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  std::string bytes(4, '\0');
  ASSERT_TRUE((*weights)->Read(**tensor, 3, std::as_writable_bytes(std::span(bytes))).ok());
  EXPECT_EQ(bytes, "4567");
  EXPECT_EQ((*weights)->Find("none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(WeightFilesTest, SaysWhenTheFileHasShrunkSinceItWasOpened) {
  WriteShard("model.safetensors", {{"w", 1.0f}});
  const auto weights = Open();
  ASSERT_TRUE(weights.ok());
  const auto tensor = (*weights)->Find("w");
  ASSERT_TRUE(tensor.ok());
  ASSERT_EQ(truncate((folder_ / "model.safetensors").c_str(), static_cast<off_t>((*tensor)->offset + 2)), 0);
  std::array<std::byte, 4> bytes;
  ExpectBroken((*weights)->Read(**tensor, 0, bytes), "shrunk");
}

TEST_F(WeightFilesTest, RefusesWhatIsNoFile) {
  ExpectBroken(Open().status(), "model.safetensors");
  ASSERT_EQ(mkfifo((folder_ / "model.safetensors").c_str(), 0600), 0);
  ExpectBroken(Open().status(), "no regular file");
  std::filesystem::remove(folder_ / "model.safetensors");
  std::filesystem::create_directory(folder_ / "model.safetensors");
  ExpectBroken(Open().status(), "no regular file");
}

TEST_F(WeightFilesTest, ReadsShardsAsOneFile) {
  WriteTwoShards();
  WriteIndex(kTwoShards);
  const auto weights = Open();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(ReadNumber(**weights, "a"), 1.0f);
  EXPECT_EQ(ReadNumber(**weights, "b"), 2.0f);
  EXPECT_EQ(ReadNumber(**weights, "c"), 3.0f);
  EXPECT_THAT((*weights)->names(),
              ElementsAre("model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"));
}

TEST_F(WeightFilesTest, PrefersTheSingleFile) {
  WriteTwoShards();
  WriteIndex(kTwoShards);
  WriteShard("model.safetensors", {{"a", 7.0f}});
  const auto weights = Open();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(ReadNumber(**weights, "a"), 7.0f);
  EXPECT_THAT((*weights)->names(), ElementsAre("model.safetensors"));
}

TEST_F(WeightFilesTest, RefusesAMissingOrBrokenShard) {
  WriteTwoShards();
  WriteIndex(kTwoShards);
  Write("model-2.safetensors", "short");
  ExpectBroken(Open().status(), "model-2.safetensors: truncated");
  std::filesystem::remove(folder_ / "model-2.safetensors");
  ExpectBroken(Open().status(), "tensor 'b' is said to be in 'model-2.safetensors', which is missing");
}

TEST_F(WeightFilesTest, RefusesAnIndexThatContradictsTheShards) {
  WriteTwoShards();
  json index = kTwoShards;
  index["c"] = "model-1.safetensors";
  WriteIndex(index);
  ExpectBroken(Open().status(), "tensor 'c' is said to be in 'model-1.safetensors', which does not hold it");
  index = kTwoShards;
  index["d"] = "model-1.safetensors";
  WriteIndex(index);
  ExpectBroken(Open().status(), "tensor 'd' is said to be in 'model-1.safetensors', which does not hold it");
  WriteIndex(kTwoShards);
  WriteShard("model-1.safetensors", {{"a", 1.0f}, {"b", 2.0f}});
  ExpectBroken(Open().status(), "model-2.safetensors: tensor 'b' is in another shard as well");
}

TEST_F(WeightFilesTest, IndexLeadsToFilesOfItsFolderOnly) {
  WriteTwoShards();
  for (const char* file : {"", ".", "..", "../model-1.safetensors", "/etc/passwd", "a\\b", "sub/x", "a\nb"}) {
    WriteIndex({{"a", file}});
    ExpectBroken(Open().status(), "tensor 'a' must be mapped to the name of a file in the same folder");
  }
  WriteIndex({{"a", std::string(300, 'x')}});
  ExpectBroken(Open().status(), "tensor 'a'");
  WriteIndex({{"a", 3}});
  ExpectBroken(Open().status(), "tensor 'a'");
}

TEST_F(WeightFilesTest, RefusesABrokenIndex) {
  for (const char* index :
       {"", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{}})", "{\"weight_map\":"}) {
    Write("model.safetensors.index.json", index);
    ExpectBroken(Open().status(), "model.safetensors.index.json");
  }
  WriteTwoShards();
  Write("model.safetensors.index.json",
        R"({"weight_map":{"a":"model-1.safetensors","a":"model-2.safetensors"}})");
  ExpectBroken(Open().status(), "tensor 'a' stands twice");
}

TEST_F(WeightFilesTest, RefusesAnIndexOfMoreShardsThanAreDownloaded) {
  json map;
  for (size_t i = 0; i < kMaxShards; ++i) map[std::to_string(i)] = std::to_string(i) + ".safetensors";
  WriteIndex(map);
  ExpectBroken(Open().status(), "which is missing");  // so many may be looked for
  map["x"] = "x.safetensors";
  WriteIndex(map);
  ExpectBroken(Open().status(), "tensor 'x' is in one file more than the 1000 that are allowed");
  Write("model.safetensors.index.json", std::string(kMaxShardIndexBytes + 1, ' '));
  ExpectBroken(Open().status(), "33554433 bytes, more than 33554432");
}

TEST_F(WeightFilesTest, FollowsLinksAsTheHubsCacheHasThem) {
  std::filesystem::create_directory(folder_ / "blobs");
  WriteShard("blobs/0123", {{"a", 5.0f}});
  std::filesystem::create_symlink("blobs/0123", folder_ / "model.safetensors");
  const auto weights = Open();
  ASSERT_TRUE(weights.ok()) << weights.status();
  EXPECT_EQ(ReadNumber(**weights, "a"), 5.0f);
  EXPECT_THAT((*weights)->names(), ElementsAre("model.safetensors"));
}

}  // namespace
}  // namespace induct::checkpoint
