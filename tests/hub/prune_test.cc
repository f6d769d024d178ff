// What a prune removes, and what it leaves alone: what Python put there, what is in use, what others share.
#include "server/hub/prune.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>

#include "absl/time/clock.h"
#include "server/hub/cache.h"
#include "server/hub/fetch_record.h"
#include "server/hub/file_lock.h"
#include "tests/hub/fetch_fixture.h"

namespace induct::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

const std::string kFirst(40, 'a'), kSecond(40, 'b'), kThird(40, 'c');

class PruneTest : public FetchFixture {
 protected:
  // Three revisions of one repository, which differ in their weights alone, each used an hour after the
  // other.
  PruneTest() {
    for (const std::string& commit : {kFirst, kSecond, kThird}) {
      hub_.Put("config.json", "{}", false, commit);
      hub_.Put("tokenizer.json", "{\"a\": 1}", false, commit);
      hub_.Put("model.safetensors", std::string(3000, commit[0]), true, commit);
      hub_.PutRevision(std::string("step-") + commit[0], commit);
    }
  }
  static std::string StepOf(const std::string& commit) { return std::string("step-") + commit[0]; }

  void FetchAll() const {
    for (const std::string& commit : {kFirst, kSecond, kThird}) {
      ASSERT_TRUE(Fetch(StepOf(commit)).ok());
      SetLastUse(commit, absl::Now() - absl::Hours(commit == kFirst ? 3 : commit == kSecond ? 2 : 1));
    }
  }
  void SetLastUse(const std::string& commit, absl::Time time) const {
    const timespec both[] = {absl::ToTimespec(time), absl::ToTimespec(time)};
    ASSERT_EQ(utimensat(AT_FDCWD, Record(commit).c_str(), both, 0), 0);
  }

  PruneReport PruneTo(uint64_t keep_bytes, bool dry_run = false) const {
    const auto report = Prune(folder_.string(), keep_bytes, dry_run, {});
    EXPECT_TRUE(report.ok()) << report.status();
    return *report;
  }
  std::vector<std::string> Removed(uint64_t keep_bytes, bool dry_run = false) const {
    std::vector<std::string> commits;
    for (const HeldRevision& revision : PruneTo(keep_bytes, dry_run).removed)
      commits.push_back(revision.commit);
    return commits;
  }

  std::string Record(const std::string& commit) const { return (repo() / ".induct" / commit).string(); }
  fs::path Snapshot(const std::string& commit) const { return repo() / "snapshots" / commit; }
  fs::path WeightsOf(const std::string& commit) const {
    return repo() / "blobs" / LocalHub::EtagOf(std::string(3000, commit[0]), true);
  }
  fs::path ConfigBlob() const { return repo() / "blobs" / LocalHub::EtagOf("{}", false); }
  bool IsThere(const std::string& commit) const { return fs::exists(Snapshot(commit) / "model.safetensors"); }
};

TEST_F(PruneTest, TheLeastRecentlyUsedGoFirstUntilTheRestFits) {
  FetchAll();
  EXPECT_THAT(Removed(9010), IsEmpty());  // three times 3000 and what they share
  EXPECT_THAT(Removed(9009), ElementsAre(kFirst));
  EXPECT_FALSE(fs::exists(Snapshot(kFirst)));
  EXPECT_FALSE(fs::exists(WeightsOf(kFirst)));
  EXPECT_FALSE(fs::exists(Record(kFirst)));
  EXPECT_FALSE(fs::exists(repo() / "refs" / StepOf(kFirst)));
  EXPECT_TRUE(fs::exists(ConfigBlob()));
  EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
  EXPECT_TRUE(fs::is_empty(repo() / "blobs"));
}

TEST_F(PruneTest, AUseCounts) {
  FetchAll();
  ASSERT_TRUE(Fetch(StepOf(kFirst)).ok());
  EXPECT_THAT(Removed(6010), ElementsAre(kSecond));
}

TEST_F(PruneTest, WhatWasRemovedIsFetchedAgain) {
  FetchAll();
  PruneTo(0);
  EXPECT_TRUE(absl::IsNotFound(Hub::Create(options_).value()->Find({kTestRepo, StepOf(kFirst)}).status()));
  ASSERT_TRUE(Fetch(StepOf(kFirst)).ok());
  EXPECT_THAT(Removed(0), ElementsAre(kFirst));
}

TEST_F(PruneTest, ADryRunSaysTheSameAndRemovesNothing) {
  FetchAll();
  const PruneReport report = PruneTo(3010, /*dry_run=*/true);
  EXPECT_EQ(report.removed.size(), 2u);
  EXPECT_EQ(report.freed_bytes, 6000u);
  EXPECT_EQ(report.left_bytes, 3010u);
  for (const std::string& commit : {kFirst, kSecond, kThird}) EXPECT_TRUE(IsThere(commit));
  EXPECT_THAT(Removed(3010), ElementsAre(kFirst, kSecond));
}

TEST_F(PruneTest, WhatIsInUseStaysUntilItIsNot) {
  FetchAll();
  auto used = Fetch(StepOf(kFirst));
  SetLastUse(kFirst, absl::Now() - absl::Hours(5));
  EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
  EXPECT_TRUE(IsThere(kFirst));
  used = absl::CancelledError();
  EXPECT_THAT(Removed(0), ElementsAre(kFirst));
}

TEST_F(PruneTest, ADownloadUnderWayIsInUse) {
  std::vector<std::string> removed;
  const auto hub = Hub::Create(options_).value();
  const auto prune = [&](const DownloadProgress&) {
    for (const std::string& commit : Removed(0)) removed.push_back(commit);
  };
  const auto snapshot = hub->Fetch({kTestRepo, StepOf(kFirst)}, prune, {});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_THAT(removed, IsEmpty());
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, WhatOthersPutThereStaysWithItsBlobs) {
  FetchAll();
  // Another program's revision, which shares the configuration and the weights of ours.
  const std::string theirs(40, 'd');
  for (const fs::path& blob : {ConfigBlob(), WeightsOf(kFirst)}) {
    fs::create_directories(Snapshot(theirs));
    fs::create_symlink(fs::path("../../blobs") / blob.filename(), Snapshot(theirs) / blob.filename());
  }
  const PruneReport report = PruneTo(0);
  EXPECT_EQ(report.freed_bytes, 6008u);  // and the tokenizer; the first revision's weights are not ours alone
  EXPECT_TRUE(fs::exists(WeightsOf(kFirst)));
  EXPECT_TRUE(fs::exists(ConfigBlob()));
  EXPECT_TRUE(fs::exists(Snapshot(theirs)));
  EXPECT_FALSE(fs::exists(WeightsOf(kSecond)));
}

TEST_F(PruneTest, ARevisionThatOthersAddedAFileToIsTheirs) {
  FetchAll();
  WriteTestFile(Snapshot(kFirst) / "README.md", "x");
  EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, ARevisionThatOthersBeganAndWeCompletedIsTheirs) {
  WriteTestFile(Snapshot(kFirst) / "config.json", "{}");
  FetchAll();
  EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, ARevisionThatOthersRemovedAndFetchedAgainIsTheirs) {
  FetchAll();
  const fs::path link = Snapshot(kFirst) / "model.safetensors", target = fs::read_symlink(link);
  fs::remove(link);
  fs::create_symlink(target, link);
  EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, ARemovalThatBrokeOffIsBroughtToAnEnd) {
  FetchAll();
  fs::remove_all(Snapshot(kFirst));
  EXPECT_THAT(Removed(9009), ElementsAre(kFirst));
  EXPECT_FALSE(fs::exists(WeightsOf(kFirst)));
  EXPECT_FALSE(fs::exists(Record(kFirst)));
}

TEST_F(PruneTest, ABlobThatSomebodyDownloadsStaysForNow) {
  FetchAll();
  const RepoCache cache(folder_.string(), kTestRepo);
  {
    const auto lock = FileLock::Acquire(cache.LockPath(WeightsOf(kFirst).filename().string()), [] {}, {});
    EXPECT_THAT(Removed(0), ElementsAre(kSecond, kThird));
    EXPECT_TRUE(fs::exists(WeightsOf(kFirst)));
  }
  EXPECT_THAT(Removed(0), ElementsAre(kFirst));
  EXPECT_FALSE(fs::exists(WeightsOf(kFirst)));
}

TEST_F(PruneTest, APartOfAnUnfinishedDownloadGoesToo) {
  options_.retry.max_attempts = 1;
  hub_.OnEvery("GET /" + kFirst + "/model.safetensors",
               [](const Request&, Reply& reply) { reply.cut_after = 1000; });
  EXPECT_FALSE(Fetch(StepOf(kFirst)).ok());
  const fs::path part = WeightsOf(kFirst).string() + ".incomplete";
  ASSERT_TRUE(fs::exists(part));
  EXPECT_THAT(Removed(0), ElementsAre(kFirst));
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(PruneTest, APartThatOthersBeganStays) {
  options_.retry.max_attempts = 1;
  const fs::path part = WeightsOf(kFirst).string() + ".incomplete";
  WriteTestFile(part, std::string(500, 'a'));
  hub_.OnEvery("GET /" + kFirst + "/model.safetensors",
               [](const Request&, Reply& reply) { reply.cut_after = 1000; });
  EXPECT_FALSE(Fetch(StepOf(kFirst)).ok());
  PruneTo(0);
  EXPECT_TRUE(fs::exists(part));
}

TEST_F(PruneTest, WhatCannotBeRemovedIsSaidAndTheRestGoes) {
  FetchAll();
  fs::remove(WeightsOf(kFirst));
  fs::create_directory(WeightsOf(kFirst));  // which unlink refuses, whoever runs this
  WriteTestFile(WeightsOf(kFirst) / "x", "x");
  const PruneReport report = PruneTo(0);
  EXPECT_THAT(report.problems, ElementsAre(HasSubstr("cannot remove " + WeightsOf(kFirst).string() + ": ")));
  EXPECT_FALSE(IsThere(kSecond));
  EXPECT_FALSE(IsThere(kThird));
}

TEST_F(PruneTest, ARecordNamesNothingOutsideItsFolders) {
  FetchAll();
  const fs::path victim = folder_ / "victim";
  WriteTestFile(victim, "x");
  fs::remove_all(Snapshot(kFirst));
  WriteTestFile(Record(kFirst), "begun ../../victim\nfile ../../victim 0 ../../../victim\nfile x\n\nbegun " +
                                    WeightsOf(kFirst).filename().string() + "\n");
  EXPECT_THAT(Removed(0), UnorderedElementsAre(kFirst, kSecond, kThird));
  EXPECT_TRUE(fs::exists(victim));
}

TEST_F(PruneTest, WithoutLinksTheFilesThemselvesGo) {
  options_.use_symlinks = false;
  FetchAll();
  EXPECT_THAT(Removed(6100), ElementsAre(kFirst));
  EXPECT_FALSE(fs::exists(Snapshot(kFirst)));
  EXPECT_TRUE(IsThere(kSecond));
}

TEST_F(PruneTest, ADownloadMakesRoomForItselfWithinTheLimit) {
  options_.max_fetched_bytes = 6100;
  ASSERT_TRUE(Fetch(StepOf(kFirst)).ok());
  SetLastUse(kFirst, absl::Now() - absl::Hours(1));
  ASSERT_TRUE(Fetch(StepOf(kSecond)).ok());
  EXPECT_TRUE(IsThere(kFirst));
  ASSERT_TRUE(Fetch(StepOf(kThird)).ok());
  EXPECT_FALSE(IsThere(kFirst));
  EXPECT_TRUE(IsThere(kSecond));
}

TEST_F(PruneTest, ALimitThatCannotBeKeptStopsNoDownload) {
  options_.max_fetched_bytes = 1;
  const auto used = Fetch(StepOf(kFirst));
  ASSERT_TRUE(used.ok());
  ASSERT_TRUE(Fetch(StepOf(kSecond)).ok());
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, AListTellsWhatIsWhose) {
  FetchAll();
  WriteTestFile(Snapshot(kSecond) / "README.md", "x");
  const auto used = Fetch(StepOf(kThird));
  using enum HeldRevision::Standing;
  std::map<std::string, HeldRevision> held;
  for (const HeldRevision& revision : ListHeld(folder_.string())) held[revision.commit] = revision;
  EXPECT_EQ(held[kFirst].standing, kUnused);
  EXPECT_EQ(held[kSecond].standing, kOfOthers);
  EXPECT_EQ(held[kThird].standing, kInUse);
  EXPECT_EQ(held[kFirst].bytes, 3000u);   // the small files are the second's, too
  EXPECT_EQ(held[kSecond].bytes, 3011u);  // all of them
  EXPECT_THAT(held[kFirst].names, ElementsAre("step-a"));
}

TEST_F(PruneTest, ARevisionOfWhichEveryFileIsAlsoAnothersStaysAndIsListedSo) {
  FetchAll();
  // As Python has it whose branch is at a commit with the same files.
  const std::string python(40, 'f');
  fs::copy(Snapshot(kFirst), Snapshot(python), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  std::map<std::string, HeldRevision> held;
  for (const HeldRevision& revision : ListHeld(folder_.string())) held[revision.commit] = revision;
  EXPECT_EQ(held[kFirst].standing, HeldRevision::Standing::kShared);
  EXPECT_THAT(held[kFirst].sharers, ElementsAre(python));
  EXPECT_EQ(held[kFirst].bytes, held[python].bytes);
  EXPECT_EQ(held[kSecond].standing, HeldRevision::Standing::kUnused);
  EXPECT_THAT(held[kSecond].sharers, IsEmpty());  // though the small files are Python's, too
  EXPECT_THAT(Removed(0), UnorderedElementsAre(kSecond, kThird));
  EXPECT_TRUE(IsThere(kFirst));
}

TEST_F(PruneTest, ARepositoryWithoutAModelLeavesNothing) {
  hub_.Put("README.md", "x", false, std::string(40, 'e'));
  hub_.PutRevision("empty", std::string(40, 'e'));
  EXPECT_FALSE(Fetch("empty").ok());
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(PruneTest, ACacheThatIsNotThereHoldsNothing) {
  const auto report = Prune((folder_ / "none").string(), 0, /*dry_run=*/false, {});
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->removed, IsEmpty());
  EXPECT_FALSE(fs::exists(folder_ / "none"));
  EXPECT_THAT(ListHeld((folder_ / "none").string()), IsEmpty());
}

}  // namespace
}  // namespace induct::hub
