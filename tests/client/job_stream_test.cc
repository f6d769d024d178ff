// Streams that break, and what the client makes of them.
#include "client/job_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/artifact_reader.h"
#include "client/exit_code.h"
#include "client/request.h"
#include "common/version.h"
#include "grpcpp/create_channel.h"
#include "proto/job_events.h"
#include "tests/client/fake_server.h"

namespace induct::client {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

constexpr RetryPolicy kFast = {.first_delay = absl::Milliseconds(1),
                               .longest_delay = absl::Milliseconds(5),
                               .patience = absl::Milliseconds(200)};

std::unique_ptr<Connection> ConnectTo(const std::string& address) {
  auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  return std::make_unique<Connection>(channel, address, nullptr, kFast);
}

v1::JobSpec Spec() {
  v1::JobSpec spec;
  spec.mutable_profile()->set_model("tiny");
  spec.mutable_options()->set_request_id(NewRequestId());
  return spec;
}

struct Followed {
  std::vector<v1::JobEvent> events;
  absl::Status error;
  std::vector<std::string> notices;
};

Followed FollowAll(const FakeServer& server) {
  Followed followed;
  const auto connection = ConnectTo(server.address());
  JobStream stream(connection.get(), Spec(),
                   [&](const std::string& notice) { followed.notices.push_back(notice); });
  while (true) {
    const auto event = stream.Next();
    followed.error = event.status();
    if (!event.ok()) return followed;
    followed.events.push_back(*event);
    if (IsTerminal(*event)) return followed;
  }
}

std::vector<uint64_t> Sequences(const std::vector<v1::JobEvent>& events) {
  std::vector<uint64_t> sequences;
  for (const v1::JobEvent& event : events) {
    if (event.has_sequence()) sequences.push_back(event.sequence());
  }
  return sequences;
}

std::vector<uint64_t> UpTo(uint64_t last) {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 1; i <= last; ++i) numbers.push_back(i);
  return numbers;
}

TEST(JobStreamTest, ABrokenStreamIsOpenedAgainAndNothingIsMissedOrRepeated) {
  Script script = SuccessfulScript("tiny");
  const uint64_t last = script.log.back().sequence();
  script.plays = {{.end_index = 6, .status = grpc::Status(StatusCode::UNAVAILABLE, "reset")},
                  {.end_index = 0, .status = grpc::Status(StatusCode::INTERNAL, "RST_STREAM")},
                  {.end_index = 9, .status = grpc::Status::OK}};
  const FakeServer server(script);
  const Followed followed = FollowAll(server);
  EXPECT_TRUE(followed.error.ok()) << followed.error;
  EXPECT_EQ(Sequences(followed.events), UpTo(last));
  ASSERT_THAT(server.record().created, SizeIs(1));
  ASSERT_THAT(server.record().watched, SizeIs(4));
  EXPECT_EQ(server.record().watched[0].name(), kFakeJob);
  EXPECT_EQ(server.record().watched[0].after_sequence(), 0u);
  EXPECT_EQ(server.record().watched[1].name(), kFakeJob);
  EXPECT_EQ(server.record().watched[1].after_sequence(),
            script.log[4].sequence());  // the sixth event is a passing one
  ASSERT_FALSE(followed.notices.empty());
  EXPECT_THAT(followed.notices[0], HasSubstr("lost the connection"));
}

TEST(JobStreamTest, ACallThatBreaksBeforeTheJobIsKnownIsMadeAgainUnderTheSameId) {
  Script script = SuccessfulScript("tiny");
  script.creations = {grpc::Status(StatusCode::UNAVAILABLE, "reset"),
                      grpc::Status(StatusCode::INTERNAL, "RST_STREAM")};
  const FakeServer server(script);
  const Followed followed = FollowAll(server);
  EXPECT_TRUE(followed.error.ok());
  const Record record = server.record();
  ASSERT_THAT(record.created, SizeIs(3));
  EXPECT_EQ(record.created[0].SerializeAsString(), record.created[2].SerializeAsString());
  EXPECT_THAT(record.created[0].options().request_id(), SizeIs(36));
  EXPECT_THAT(record.watched, SizeIs(1));
  EXPECT_THAT(followed.notices, testing::ElementsAre(HasSubstr("lost the connection"), "connected again"));
}

TEST(ConnectionTest, AServerOfAnotherContractIsNamedWithBothVersions) {
  for (const uint32_t contract : {0u, kContract + 1}) {
    Script script;
    script.contract = contract;
    const FakeServer server(script);
    const absl::Status error = Connection::Open(server.address(), "", kFast).status();
    EXPECT_EQ(ExitCodeOf(error), ExitCode::kUsage);
    EXPECT_EQ(error.message(),
              absl::StrCat("this server speaks another contract (induct-server 9.9.9, this is induct-client ",
                           kVersion, "): use the same version of both"));
  }
}

TEST(JobStreamTest, PassingEventsOfAnAttemptThatIsOverAreDropped) {
  Script script = SuccessfulScript("tiny");
  v1::JobEvent restarted = script.log[3];
  restarted.set_attempt(2);
  v1::JobEvent late;
  late.set_attempt(1);
  late.mutable_progress()->set_fraction(0.9);
  script.log = {script.log[0], restarted, late, script.log.back()};
  Renumber(&script.log);
  script.log[1].set_attempt(2);
  script.log[3].set_attempt(2);
  const FakeServer server(script);
  const Followed followed = FollowAll(server);
  ASSERT_THAT(followed.events, SizeIs(3));
  EXPECT_TRUE(followed.events[1].has_started());
  EXPECT_TRUE(followed.events[2].has_finished());
}

TEST(JobStreamTest, RefusalsCarryTheirExitCode) {
  const std::tuple<StatusCode, const char*, ExitCode> cases[] = {
      {StatusCode::RESOURCE_EXHAUSTED, "QUEUE_FULL", ExitCode::kBusy},
      {StatusCode::UNAVAILABLE, "DRAINING", ExitCode::kBusy},
      {StatusCode::INVALID_ARGUMENT, "INVALID_FIELD", ExitCode::kUsage},
      {StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", ExitCode::kUsage},
      {StatusCode::INTERNAL, "INTERNAL", ExitCode::kJobFailed},
  };
  for (const auto& [code, reason, exit_code] : cases) {
    Script script;
    script.creations = {ServerError(code, "no", reason)};
    const FakeServer server(script);
    EXPECT_EQ(ExitCodeOf(FollowAll(server).error), exit_code) << reason;
    EXPECT_THAT(server.record().created, SizeIs(1)) << "a refusal is not tried again";
  }
}

TEST(JobStreamTest, AJobThatTheServerForgotIsAFailure) {
  Script script = SuccessfulScript("tiny");
  script.plays = {{.end_index = 3, .status = grpc::Status(StatusCode::UNAVAILABLE, "reset")},
                  {.end_index = 0, .status = ServerError(StatusCode::NOT_FOUND, "no job", "JOB_NOT_FOUND")}};
  const FakeServer server(script);
  const Followed followed = FollowAll(server);
  EXPECT_EQ(ExitCodeOf(followed.error), ExitCode::kJobFailed);
  EXPECT_THAT(std::string(followed.error.message()), HasSubstr("does not know jobs/"));
}

TEST(JobStreamTest, AServerThatStaysAwayIsUnreachable) {
  Script script = SuccessfulScript("tiny");
  for (int i = 0; i < 1000; ++i) {
    script.plays.push_back(
        {.end_index = i == 0 ? size_t{1} : 0, .status = grpc::Status(StatusCode::UNAVAILABLE, "reset")});
  }
  const FakeServer server(script);
  const absl::Status error = FollowAll(server).error;
  EXPECT_EQ(ExitCodeOf(error), ExitCode::kUnreachable);
  EXPECT_THAT(
      std::string(error.message()),
      AllOf(HasSubstr("cannot reach " + server.address() + ": reset; is induct-server running there?"),
            HasSubstr(std::string(kFakeJob) + " may be lost; `induct-client jobs` tells")));
}

TEST(JobStreamTest, CancelReachesTheServerAndTheStreamEndsCancelled) {
  Script script = SuccessfulScript("tiny");
  script.plays = {{.end_index = 1, .wait_for_cancel = true}};
  const FakeServer server(script);
  const auto connection = ConnectTo(server.address());
  JobStream stream(connection.get(), Spec(), [](const std::string&) {});
  ASSERT_TRUE(stream.Next().ok());
  EXPECT_EQ(stream.job(), kFakeJob);
  stream.Cancel();
  const auto event = stream.Next();
  ASSERT_TRUE(event.ok());
  EXPECT_TRUE(event->has_cancelled());
  EXPECT_EQ(server.record().cancelled, std::vector<std::string>{kFakeJob});
}

TEST(JobStreamTest, AbandoningEndsABlockedStream) {
  Script script = SuccessfulScript("tiny");
  script.plays = {{.end_index = 1, .wait_for_cancel = true}};
  FakeServer server(script);
  const auto connection = ConnectTo(server.address());
  JobStream stream(connection.get(), Spec(), [](const std::string&) {});
  ASSERT_TRUE(stream.Next().ok());
  std::thread other([&] {
    server.AwaitWaiting();
    connection->Abandon();
  });
  EXPECT_EQ(stream.Next().status().code(), absl::StatusCode::kCancelled);
  other.join();
}

class ArtifactReaderTest : public testing::Test {
 protected:
  absl::StatusOr<std::string> Read(Script script, const v1::Artifact& artifact) {
    server_ = std::make_unique<FakeServer>(std::move(script));
    connection_ = ConnectTo(server_->address());
    return ReadArtifact(connection_.get(), kFakeJob, artifact);
  }
  std::string bytes_ = std::string(2500, 'a') + std::string(2500, 'b');
  std::unique_ptr<FakeServer> server_;
  std::unique_ptr<Connection> connection_;
};

TEST_F(ArtifactReaderTest, ABreakIsResumedAtTheByteReached) {
  Script script;
  script.artifacts["x.npy"] = bytes_;
  script.artifact_cuts = {1500, 0, 2000};
  const auto read = Read(script, ArtifactEvent("x.npy", bytes_).artifact());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, bytes_);
  std::vector<uint64_t> offsets;
  for (const v1::ReadArtifactRequest& request : server_->record().read) offsets.push_back(request.offset());
  EXPECT_EQ(offsets, (std::vector<uint64_t>{0, 1500, 1500, 3500}));
}

TEST_F(ArtifactReaderTest, OtherBytesThanAnnouncedAreRefused) {
  Script script;
  script.artifacts["x.npy"] = bytes_;
  const std::string other(bytes_.size(), 'c');
  EXPECT_EQ(Read(script, ArtifactEvent("x.npy", other).artifact()).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read(script, ArtifactEvent("x.npy", bytes_ + "more").artifact()).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(Read(script, ArtifactEvent("x.npy", bytes_.substr(1)).artifact()).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST_F(ArtifactReaderTest, NamesThatLeaveTheRunDirectoryAreRefusedUnread) {
  for (const char* name : {"../evil", "/etc/passwd", ".hidden", "a/b", "", "x\n"}) {
    EXPECT_EQ(ExitCodeOf(Read({}, ArtifactEvent(name, bytes_).artifact()).status()), ExitCode::kJobFailed)
        << name;
    EXPECT_THAT(server_->record().read, SizeIs(0));
  }
}

TEST_F(ArtifactReaderTest, ASizeThatCannotBeIsRefusedUnread) {
  for (const double size : {-1.0, 1e300, std::nan("")}) {
    v1::Artifact artifact = ArtifactEvent("x.npy", bytes_).artifact();
    artifact.set_size(size);
    EXPECT_EQ(Read({}, artifact).status().code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(server_->record().read, SizeIs(0));
  }
}

TEST_F(ArtifactReaderTest, AnEmptyArtifactIsEmpty) {
  Script script;
  script.artifacts["x.txt"] = "";
  const auto read = Read(script, ArtifactEvent("x.txt", "").artifact());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, "");
}

}  // namespace
}  // namespace induct::client
