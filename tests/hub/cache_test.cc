// What Find and List make of a cache folder, without any hub.
#include "server/hub/cache.h"

#include "server/hub/hub.h"
#include "tests/hub/hub_fixture.h"

namespace induct::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kCommit[] = "0123456789abcdef0123456789abcdef01234567";
constexpr char kOther[] = "fedcba9876543210fedcba9876543210fedcba98";
constexpr char kRepo[] = "org/model";

class CacheTest : public CacheFolder {
 protected:
  std::filesystem::path repo() const { return folder_ / "models--org--model"; }

  void Put(const std::string& file, const std::string& text = "x",
           const std::string& commit = kCommit) const {
    WriteTestFile(repo() / "snapshots" / commit / file, text);
  }
  void PutWhole(const std::string& commit = kCommit) const {
    for (const char* file : {"config.json", "tokenizer.json", "model.safetensors"}) Put(file, "x", commit);
  }
  void PutRef(const std::string& revision, const std::string& text) const {
    WriteTestFile(repo() / "refs" / revision, text);
  }

  std::unique_ptr<Hub> MakeHub(bool offline = false) const {
    HubOptions options;
    options.cache_dir = folder_.string();
    options.offline = offline;
    auto hub = Hub::Create(options);
    EXPECT_TRUE(hub.ok()) << hub.status();
    return *std::move(hub);
  }

  void ExpectFound(const std::string& revision = "main") const {
    const auto found = MakeHub()->Find({kRepo, revision});
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->commit, kCommit);
    EXPECT_EQ(found->directory, (repo() / "snapshots" / kCommit).string());
  }
  void ExpectMissing(const std::string& revision = "main") const {
    ExpectError(MakeHub()->Find({kRepo, revision}).status(), absl::StatusCode::kNotFound,
                reason::kModelNotFound, "'org/model@" + revision + "'");
  }
};

TEST_F(CacheTest, FindsABranchATagWithSlashesAndACommit) {
  PutWhole();
  PutRef("main", kCommit);
  PutRef("refs/pr/1", std::string(kCommit) + "\n");
  ExpectFound("main");
  ExpectFound("refs/pr/1");
  ExpectFound(kCommit);
  ExpectMissing("step3000");
  ExpectMissing(kOther);
}

TEST_F(CacheTest, ARefThatIsNoCommitIsNoPath) {
  PutWhole();
  for (const char* text : {"", "../../snapshots", "0123", "0123456789ABCDEF0123456789ABCDEF01234567"}) {
    PutRef("main", text);
    ExpectMissing();
  }
}

TEST_F(CacheTest, AWholeModelHasConfigurationTokenizerAndWeights) {
  PutRef("main", kCommit);
  for (const char* missing : {"config.json", "tokenizer.json", "model.safetensors"}) {
    PutWhole();
    ExpectFound();
    std::filesystem::remove(repo() / "snapshots" / kCommit / missing);
    ExpectMissing();
  }
}

TEST_F(CacheTest, ALinkWithoutItsBlobIsNoFile) {
  PutWhole();
  PutRef("main", kCommit);
  const auto weights = repo() / "snapshots" / kCommit / "model.safetensors";
  std::filesystem::remove(weights);
  std::filesystem::create_symlink("../../blobs/abc", weights);
  ExpectMissing();
  WriteTestFile(repo() / "blobs/abc", "x");
  ExpectFound();
}

TEST_F(CacheTest, ShardsAreWholeWhenAllAreThere) {
  for (const std::string suffix : {".safetensors", ".bin"}) {
    const std::string stem = suffix == ".bin" ? "pytorch_model" : "model";
    std::filesystem::remove_all(repo());
    PutRef("main", kCommit);
    Put("config.json");
    Put("tokenizer.json");
    Put(stem + suffix + ".index.json", R"({"metadata": {"total_size": 8}, "weight_map": {"a": ")" + stem +
                                           "-1" + suffix + R"(", "b": ")" + stem + "-2" + suffix + R"("}})");
    Put(stem + "-1" + suffix);
    ExpectMissing();
    Put(stem + "-2" + suffix);
    ExpectFound();
  }
}

TEST_F(CacheTest, WeightsInTorchFilesCountWhereThereAreNoOthers) {
  PutRef("main", kCommit);
  Put("config.json");
  Put("tokenizer.json");
  Put("pytorch_model.bin");
  ExpectFound();
}

TEST_F(CacheTest, AnIndexThatIsBrokenIsNoModel) {
  PutRef("main", kCommit);
  Put("config.json");
  Put("tokenizer.json");
  Put("evil.safetensors");
  WriteTestFile(repo() / "snapshots/evil.safetensors", "x");
  for (const std::string index :
       {"", "[]", "{", R"({"weight_map": {}})", R"({"weight_map": {"a": "../evil.safetensors"}})",
        R"({"weight_map": {"a": 1}})", R"({"weight_map": {"a": "evil.json"}})"}) {
    Put("model.safetensors.index.json", index);
    ExpectMissing();
  }
}

TEST_F(CacheTest, ATokenizerMayBeAbsentWhereTheRepositoryHasNone) {
  PutRef("main", kCommit);
  Put("config.json");
  Put("model.safetensors");
  ExpectMissing();
  EXPECT_TRUE(MakeHub(/*offline=*/true)->Find({kRepo, "main"}).ok());

  WriteTestFile(
      repo() / "trees" / (std::string(kCommit) + ".json"),
      R"({"format_version": 1, "files": {"config.json": {"size": 1}, "tokenizer.json": {"size": 1}}})");
  ExpectMissing();
  WriteTestFile(repo() / "trees" / (std::string(kCommit) + ".json"),
                R"({"format_version": 1, "files": {"config.json": {"size": 1}}})");
  ExpectFound();
  std::filesystem::remove_all(repo() / "trees");
  WriteTestFile(repo() / ".no_exist" / kCommit / "tokenizer.json", "");
  ExpectFound();
}

TEST_F(CacheTest, ListsWhatCanBeFoundByNameOrElseByCommit) {
  PutWhole(kCommit);
  PutWhole(kOther);
  PutRef("main", kCommit);
  PutRef("step/1", kCommit);
  PutRef("gone", "1111111111111111111111111111111111111111");
  WriteTestFile(folder_ / "models--gpt2/snapshots" / kCommit / "config.json", "not whole");
  WriteTestFile(folder_ / "datasets--org--data/refs/main", kCommit);
  WriteTestFile(folder_ / "models--..--model/refs/main", kCommit);

  std::vector<std::string> names;
  for (const CachedRevision& cached : MakeHub()->List()) {
    names.push_back(cached.repo + "@" + cached.revision);
    EXPECT_EQ(cached.directory, (repo() / "snapshots" / cached.commit).string());
  }
  EXPECT_THAT(names, ElementsAre("org/model@main", "org/model@step/1", std::string("org/model@") + kOther));
}

TEST_F(CacheTest, AnAbsentCacheFolderIsAnEmptyOne) {
  std::filesystem::remove_all(folder_);
  EXPECT_THAT(MakeHub()->List(), IsEmpty());
  ExpectMissing();
}

}  // namespace
}  // namespace induct::hub
