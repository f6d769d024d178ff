#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "common/status.h"
#include "server/jobs/job_store.h"

namespace induct::jobs {
namespace {

bool All(const JobRecord&) { return true; }
bool OfAda(const JobRecord& record) { return record.spec.owner == "ada"; }

using testing::ElementsAre;

JobRecord RecordOf(const std::string& name, const std::string& owner = "ada",
                   const std::string& request_id = "") {
  return {.name = name,
          .spec = {.kind = "test", .owner = owner, .request_id = request_id, .accepted = "resolved"},
          .created = absl::FromUnixSeconds(1)};
}

std::vector<std::string> Names(const absl::StatusOr<std::vector<JobRecord>>& records) {
  std::vector<std::string> names;
  for (const JobRecord& record : records.value()) names.push_back(record.name);
  return names;
}

void Append(JobStore& store, const JobRecord& record, const std::string& payload) {
  const StoredEvent event{.type = EventType::kOutput, .payload = payload};
  ASSERT_TRUE(store.Update(record, &event).ok());
}

void Finish(JobStore& store, JobRecord record) {
  record.state = JobState::kSucceeded;
  const StoredEvent event{.type = EventType::kFinished};
  ASSERT_TRUE(store.Update(record, &event).ok());
}

TEST(MemoryJobStoreTest, AJobBeginsWithItsAcceptedEventAsSequenceOne) {
  const auto store = NewMemoryJobStore({});
  ASSERT_TRUE(store->Create(RecordOf("jobs/1")).ok());
  const auto events = store->ReadEvents("jobs/1", 0, 1000);
  ASSERT_EQ(events->size(), 1u);
  EXPECT_EQ(events->front().sequence, 1u);
  EXPECT_EQ(events->front().type, EventType::kAccepted);
  EXPECT_EQ(events->front().payload, "resolved");
  EXPECT_EQ(store->Create(RecordOf("jobs/1")).code(), absl::StatusCode::kAlreadyExists);
}

TEST(MemoryJobStoreTest, UnknownJobsAreNotFound) {
  const auto store = NewMemoryJobStore({});
  for (const absl::Status& status :
       {store->Get("jobs/x").status(), store->ReadEvents("jobs/x", 0, 1).status(), store->Delete("jobs/x"),
        store->Update(RecordOf("jobs/x"), nullptr).status(),
        store->ReadArtifact("jobs/x", "a", "", 0, 1).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(ReasonOf(status), reason::kJobNotFound);
  }
}

TEST(MemoryJobStoreTest, PagesStopAtTheirBytesButHoldAtLeastOneEvent) {
  const auto store = NewMemoryJobStore({});
  const JobRecord record = RecordOf("jobs/1");
  ASSERT_TRUE(store->Create(record).ok());
  for (int i = 0; i < 5; ++i) Append(*store, record, std::string(100, 'x'));
  EXPECT_EQ(store->ReadEvents("jobs/1", 1, 250)->size(), 2u);
  EXPECT_EQ(store->ReadEvents("jobs/1", 1, 1)->size(), 1u);
  EXPECT_EQ(store->ReadEvents("jobs/1", 4, 1000)->back().sequence, 6u);
  EXPECT_TRUE(store->ReadEvents("jobs/1", 6, 1000)->empty());
  EXPECT_TRUE(store->ReadEvents("jobs/1", 99, 1000)->empty());
}

TEST(MemoryJobStoreTest, ListsNewestFirstInPagesAndByOwner) {
  const auto store = NewMemoryJobStore({});
  for (const char* name : {"jobs/1", "jobs/2", "jobs/4"}) ASSERT_TRUE(store->Create(RecordOf(name)).ok());
  ASSERT_TRUE(store->Create(RecordOf("jobs/3", "bob")).ok());
  EXPECT_THAT(Names(store->List(All, "", 3)), ElementsAre("jobs/4", "jobs/3", "jobs/2"));
  EXPECT_THAT(Names(store->List(All, "jobs/2", 3)), ElementsAre("jobs/1"));
  EXPECT_THAT(Names(store->List(OfAda, "", 2)), ElementsAre("jobs/4", "jobs/2"));
  EXPECT_THAT(Names(store->List(OfAda, "jobs/1", 2)), ElementsAre());
  Finish(*store, RecordOf("jobs/2"));
  EXPECT_THAT(Names(store->ListLive()), ElementsAre("jobs/1", "jobs/3", "jobs/4"));
}

TEST(MemoryJobStoreTest, ArtifactsAreReadInPiecesAndByHash) {
  const auto store = NewMemoryJobStore({});
  ASSERT_TRUE(store->Create(RecordOf("jobs/1")).ok());
  const ArtifactDescriptor descriptor{
      .name = "a.npy", .media_type = "application/x-npy", .size = 10, .sha256 = "abc"};
  EXPECT_EQ(store->PutArtifact("jobs/1", 3, descriptor, "0123456789").value(), 2u);
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a.npy", "abc", 2, 3).value(), "234");
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a.npy", "", 8, 100).value(), "89");
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a.npy", "", 10, 100).value(), "");
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a.npy", "", 11, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReasonOf(store->ReadArtifact("jobs/1", "a.npy", "abd", 0, 1).status()),
            reason::kArtifactNotFound);
  EXPECT_EQ(ReasonOf(store->ReadArtifact("jobs/1", "b.npy", "", 0, 1).status()), reason::kArtifactNotFound);
  const StoredEvent event = store->ReadEvents("jobs/1", 1, 1000)->front();
  EXPECT_EQ(event.type, EventType::kArtifact);
  EXPECT_EQ(event.attempt, 3u);
  EXPECT_EQ(event.artifact.sha256, "abc");
}

TEST(MemoryJobStoreTest, AnArtifactOfTheSameNameReplacesTheBytes) {
  const auto store = NewMemoryJobStore({});
  ASSERT_TRUE(store->Create(RecordOf("jobs/1")).ok());
  ASSERT_TRUE(store->PutArtifact("jobs/1", 1, {.name = "a", .sha256 = "old"}, "old").ok());
  ASSERT_TRUE(store->PutArtifact("jobs/1", 1, {.name = "a", .sha256 = "new"}, "newer").ok());
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a", "", 0, 100).value(), "newer");
  EXPECT_EQ(store->ReadArtifact("jobs/1", "a", "old", 0, 100).status().code(), absl::StatusCode::kNotFound);
}

TEST(MemoryJobStoreTest, JobsThatEndedFirstAreForgottenFirstAndLiveOnesNever) {
  const auto store = NewMemoryJobStore({.max_jobs = 1});
  for (const char* name : {"jobs/1", "jobs/2", "jobs/3", "jobs/4"})
    ASSERT_TRUE(store->Create(RecordOf(name)).ok());
  EXPECT_THAT(Names(store->List(All, "", 9)), ElementsAre("jobs/4", "jobs/3", "jobs/2", "jobs/1"));
  Finish(*store, RecordOf("jobs/3"));
  EXPECT_THAT(Names(store->List(All, "", 9)), ElementsAre("jobs/4", "jobs/3", "jobs/2", "jobs/1"))
      << "the last to end stays";
  Finish(*store, RecordOf("jobs/1"));
  EXPECT_THAT(Names(store->List(All, "", 9)), ElementsAre("jobs/4", "jobs/2", "jobs/1"));
}

TEST(MemoryJobStoreTest, BytesOfReplacedAndForgottenJobsAreFreed) {
  const auto store = NewMemoryJobStore({.max_jobs = 100, .max_bytes = 1000});
  for (int i = 1; i <= 50; ++i) {
    const JobRecord record = RecordOf("jobs/" + std::to_string(100 + i));
    ASSERT_TRUE(store->Create(record).ok());
    for (int k = 0; k < 5; ++k)
      ASSERT_TRUE(store->PutArtifact(record.name, 1, {.name = "a"}, std::string(300, 'x')).ok());
    Finish(*store, record);
  }
  // 308 bytes each (an artifact and the accepted payload): three fit, were bytes counted twice fewer would.
  EXPECT_THAT(Names(store->List(All, "", 99)), ElementsAre("jobs/150", "jobs/149", "jobs/148"));
}

TEST(MemoryJobStoreTest, WhatLivesTakesNothingFromWhatIsKeptOfEndedJobs) {
  const auto store = NewMemoryJobStore({.max_jobs = 100, .max_bytes = 1000});
  JobRecord live = RecordOf("jobs/9");
  live.spec.request = std::string(5000, 'x');
  ASSERT_TRUE(store->Create(live).ok());
  for (const char* name : {"jobs/1", "jobs/2"}) {
    ASSERT_TRUE(store->Create(RecordOf(name)).ok());
    Finish(*store, RecordOf(name));
  }
  EXPECT_THAT(Names(store->List(All, "", 9)), ElementsAre("jobs/9", "jobs/2", "jobs/1"));
}

TEST(MemoryJobStoreTest, RequestIdsBelongToTheirOwnerAndAreForgottenWithTheJob) {
  const auto store = NewMemoryJobStore({});
  ASSERT_TRUE(store->Create(RecordOf("jobs/1", "ada", "id")).ok());
  EXPECT_EQ(store->FindRequest("ada", "id").value()->name, "jobs/1");
  EXPECT_EQ(store->FindRequest("bob", "id").value(), std::nullopt);
  EXPECT_EQ(store->Delete("jobs/1").code(), absl::StatusCode::kFailedPrecondition);
  Finish(*store, RecordOf("jobs/1", "ada", "id"));
  EXPECT_TRUE(store->Delete("jobs/1").ok());
  EXPECT_EQ(store->FindRequest("ada", "id").value(), std::nullopt);
  EXPECT_EQ(store->Get("jobs/1").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace induct::jobs
