// Connections that break, hubs that refuse, disks that are full: what is tried again, what is resumed, what
// is said.
#include <thread>

#include "server/hub/file_lock.h"
#include "tests/hub/fetch_fixture.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class FailuresTest : public FetchFixture {
 protected:
  FailuresTest() { hub_.PutModel(); }

  // Replies with `status` to every request for `part`.
  void Refuse(const std::string& part, int status, const std::string& code = "",
              const std::string& message = "") {
    hub_.OnEvery(part, [=](const Request&, Reply& reply) {
      reply = Reply{.status = status};
      if (!code.empty()) reply.headers["X-Error-Code"] = code;
      if (!message.empty()) reply.headers["X-Error-Message"] = message;
    });
  }
};

TEST_F(FailuresTest, APartialFileIsResumed) {
  WriteTestFile(Incomplete(), hub_.BytesOf("model.safetensors").substr(0, 1000));
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("bytes=1000-"));
  EXPECT_FALSE(fs::exists(Incomplete()));
}

TEST_F(FailuresTest, AWholePartialFileIsOnlyChecked) {
  WriteTestFile(Incomplete(), hub_.BytesOf("model.safetensors"));
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre());
}

TEST_F(FailuresTest, APartialFileOfOtherBytesIsStartedOver) {
  WriteTestFile(Incomplete(), std::string(1000, 'x'));
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("bytes=1000-", ""));
}

TEST_F(FailuresTest, APartialFileThatIsTooLongIsStartedOver) {
  WriteTestFile(Incomplete(), std::string(5000, 'x'));
  ExpectFetched();
}

TEST_F(FailuresTest, AServerThatIgnoresRangesIsReadFromTheStart) {
  WriteTestFile(Incomplete(), std::string(1000, 'x'));
  hub_.OnEvery(kWeightsAtStorage,
               [&](const Request&, Reply& reply) { reply = Reply{.body = TestBytes(3000)}; });
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("bytes=1000-"));
}

TEST_F(FailuresTest, RangesThatAreRefusedOrWrongAreStartedOver) {
  WriteTestFile(Incomplete(), TestBytes(1000));
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply = Reply{.status = 416}; });
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("bytes=1000-", ""));

  fs::remove_all(repo());
  WriteTestFile(Incomplete(), TestBytes(1000));
  hub_.OnNext(kWeightsAtStorage,
              [](const Request&, Reply& reply) { reply.headers["Content-Range"] = "bytes 0-1999/3000"; });
  ExpectFetched();
}

TEST_F(FailuresTest, ACutConnectionIsResumedWhereItBroke) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.cut_after = 700; });
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.cut_after = 800; });
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("", "bytes=700-", "bytes=1500-"));
  EXPECT_THAT(Notes(), HasSubstr("trying again in"));
}

TEST_F(FailuresTest, AStalledConnectionIsResumed) {
  options_.stall_timeout = absl::Seconds(1);
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.stall_after = 700; });
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("", "bytes=700-"));
}

TEST_F(FailuresTest, AConnectionThatAlwaysBreaksIsGivenUpAndResumedLater) {
  hub_.OnEvery(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.cut_after = 100; });
  ExpectRefused(StatusCode::kUnavailable, reason::kHubUnavailable, "tried 6 times");
  EXPECT_EQ(RangesAskedFor().size(), 6u);
  EXPECT_EQ(ReadTestFile(Incomplete()), TestBytes(600));
}

TEST_F(FailuresTest, WhileThereIsProgressItGoesOn) {
  hub_.Put("model.safetensors", TestBytes(20 << 20), true);
  hub_.OnEvery(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.cut_after = 2 << 20; });
  options_.retry.max_attempts = 2;
  ExpectFetched();
}

TEST_F(FailuresTest, ServersInTroubleAreAskedAgain) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    fs::remove_all(repo());
    for (const std::string& part : {std::string("/api/"), std::string("HEAD"),
                                    std::string("GET /org/model/resolve/"), kWeightsAtStorage}) {
      hub_.OnNext(part, [&](const Request&, Reply& reply) { reply = Reply{.status = status}; });
    }
    ExpectFetched();
    EXPECT_THAT(Notes(), HasSubstr("HTTP status " + std::to_string(status)));
  }
}

TEST_F(FailuresTest, AHubWhoseNameDoesNotResolveIsGivenUpAfterTwoAttempts) {
  options_.endpoint = "http://hub.invalid";  // a name that never resolves (RFC 6761)
  options_.retry.max_attempts = 1000;
  ExpectError(Fetch().status(), StatusCode::kUnavailable, reason::kHubUnreachable, "hub.invalid");
}

TEST_F(FailuresTest, ServersThatStayInTroubleAreGivenUp) {
  Refuse("/api/", 503);
  ExpectRefused(StatusCode::kUnavailable, reason::kHubUnavailable, "HTTP status 503 (tried 6 times)");
  EXPECT_EQ(hub_.requests().size(), 6u);
}

TEST_F(FailuresTest, ALookAsksTwice) {
  Refuse("/api/", 503);
  ExpectError(Look().status(), StatusCode::kUnavailable, reason::kHubUnavailable,
              "HTTP status 503 (tried 2 times)");
}

TEST_F(FailuresTest, ALookRefusesASmallFileThatIsLarge) {
  hub_.OnEvery(std::string("HEAD /org/model/resolve/") + kTestCommit + "/config.json",
               [](const Request&, Reply& reply) { reply.headers["X-Linked-Size"] = "1000000000"; });
  ExpectError(Look().status(), StatusCode::kFailedPrecondition, reason::kBadCheckpoint,
              "config.json has 1000000000 bytes");
  EXPECT_THAT(hub_.RequestsFor("GET /org/model/resolve/"), testing::IsEmpty());
}

TEST_F(FailuresTest, RetryAfterIsHonouredWithinBounds) {
  options_.retry.max_retry_after = absl::Milliseconds(400);
  hub_.OnNext("/api/", [](const Request&, Reply& reply) {
    reply = Reply{.status = 429, .headers = {{"Retry-After", "3600"}}};
  });
  ExpectFetched();
  EXPECT_THAT(Notes(), HasSubstr("trying again in 400ms: "));
}

TEST_F(FailuresTest, AHubThatIsNotThereIsUnavailable) {
  int port = 0;
  {
    port = HttpServer([](const Request&) { return Reply{}; }).port();
  }
  options_.endpoint = "http://127.0.0.1:" + std::to_string(port);
  ExpectRefused(StatusCode::kUnavailable, reason::kHubUnavailable, "127.0.0.1");
}

TEST_F(FailuresTest, AddressesThatTheStorageRefusesAreAskedForAnew) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply = Reply{.status = 403}; });
  ExpectFetched();
  EXPECT_THAT(Notes(), Not(HasSubstr("secret")));
}

TEST_F(FailuresTest, AnUnknownRepositoryIsNotFound) {
  Refuse("/api/", 404, "RepoNotFound");
  ExpectRefused(StatusCode::kNotFound, reason::kModelNotFound, "'org/model@main'");
  ExpectRefused(StatusCode::kNotFound, reason::kModelNotFound, "set HF_TOKEN");
  EXPECT_EQ(hub_.requests().size(), 2u);
}

TEST_F(FailuresTest, APrivateRepositoryLooksLikeAnUnknownOne) {
  Refuse("/api/", 401);
  ExpectRefused(StatusCode::kNotFound, reason::kModelNotFound, "or it is private: then set HF_TOKEN");
  options_.token = "hf_secret";
  ExpectRefused(StatusCode::kNotFound, reason::kModelNotFound, "the token in HF_TOKEN may not see it");
  EXPECT_THAT(std::string(Fetch().status().message()), Not(HasSubstr("hf_secret")));
}

TEST_F(FailuresTest, AnUnknownRevisionIsNamed) {
  ExpectError(Fetch("step7").status(), StatusCode::kNotFound, reason::kModelNotFound,
              "'org/model' has no revision 'step7' at " + hub_.endpoint() + "; name a branch");
}

TEST_F(FailuresTest, AGatedRepositorySaysWhereToAsk) {
  Refuse("resolve", 403, "GatedRepo");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubAccessDenied, hub_.endpoint() + "/org/model");
}

TEST_F(FailuresTest, AGatedRepositoryMayAnswer401) {
  Refuse("resolve", 401, "GatedRepo");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubAccessDenied, "set HF_TOKEN");
}

TEST_F(FailuresTest, AForbiddenRepositoryIsDenied) {
  options_.token = "hf_secret";
  Refuse("/api/", 403);
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubAccessDenied,
                "account that HF_TOKEN belongs to");
}

TEST_F(FailuresTest, ATokenThatIsRefusedIsToBlame) {
  options_.token = "hf_old";
  Refuse("/api/", 401, "", "Invalid credentials in Authorization header");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubAccessDenied, "does not accept the token");
}

TEST_F(FailuresTest, OtherRefusalsAreFinal) {
  Refuse("/api/", 451);
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "HTTP status 451");
  EXPECT_EQ(hub_.requests().size(), 1u);
}

TEST_F(FailuresTest, WrongBytesAreFetchedOnceMore) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.body[5] ^= 1; });
  ExpectFetched();
  EXPECT_THAT(RangesAskedFor(), ElementsAre("", ""));
}

TEST_F(FailuresTest, BytesThatStayWrongAreRefused) {
  hub_.OnEvery(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.body[5] ^= 1; });
  ExpectRefused(StatusCode::kDataLoss, reason::kHubWrongContent, "model.safetensors: twice not what");
  EXPECT_FALSE(fs::exists(Incomplete()));
}

TEST_F(FailuresTest, WrongBytesOfSmallFilesAreRefusedToo) {
  hub_.OnEvery("GET /org/model/resolve/0123456789abcdef0123456789abcdef01234567/config.json",
               [](const Request&, Reply& reply) { reply.body[0] ^= 1; });
  ExpectRefused(StatusCode::kDataLoss, reason::kHubWrongContent, "git's SHA-1");
}

TEST_F(FailuresTest, AHubThatLiesAboutASizeIsRefused) {
  hub_.OnEvery("HEAD", [](const Request&, Reply& reply) {
    if (reply.headers.contains("X-Linked-Size")) reply.headers["X-Linked-Size"] = "2000";
  });
  ExpectRefused(StatusCode::kDataLoss, reason::kHubWrongContent, "more bytes came than the 2000");
  hub_.OnEvery("HEAD", [](const Request&, Reply& reply) {
    if (reply.headers.contains("X-Linked-Size")) reply.headers["X-Linked-Size"] = "4000";
  });
  ExpectRefused(StatusCode::kDataLoss, reason::kHubWrongContent, "of the 4000");
}

TEST_F(FailuresTest, AServerThatLiesAboutItsLengthIsResumedOrGivenUp) {
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.content_length = 9000; });
  ExpectFetched();
  fs::remove_all(repo());
  hub_.OnEvery(kWeightsAtStorage,
               [](const Request&, Reply& reply) { reply = Reply{.content_length = 9000}; });
  ExpectRefused(StatusCode::kUnavailable, reason::kHubUnavailable, "tried 6 times");
}

TEST_F(FailuresTest, AModelThatDoesNotFitTheDiskIsNotBegun) {
  hub_.OnEvery("HEAD", [](const Request&, Reply& reply) {
    if (reply.headers.contains("X-Linked-Size")) reply.headers["X-Linked-Size"] = "1000000000000000000";
  });
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubCacheUnusable, "HF_HUB_CACHE");
  EXPECT_THAT(hub_.RequestsFor("GET /org/model/resolve/"), testing::IsEmpty());
}

TEST_F(FailuresTest, ACacheThatCannotBeWrittenIsNamed) {
  WriteTestFile(folder_ / "file", "no folder");
  options_.cache_dir = (folder_ / "file").string();
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubCacheUnusable,
                options_.cache_dir + "/models--org--model");
}

TEST_F(FailuresTest, AStopEndsADownloadThatStands) {
  options_.stall_timeout = absl::Hours(1);
  hub_.OnNext(kWeightsAtStorage, [](const Request&, Reply& reply) { reply.stall_after = 700; });
  std::stop_source stop;
  std::jthread stopper([&] {
    while (!fs::exists(Incomplete()) || fs::file_size(Incomplete()) < 700) std::this_thread::yield();
    stop.request_stop();
  });
  ExpectError(Fetch("main", stop.get_token()).status(), StatusCode::kCancelled, "", "");
  EXPECT_EQ(ReadTestFile(Incomplete()), TestBytes(700));
  ExpectFetched();
  EXPECT_EQ(RangesAskedFor().back(), "bytes=700-");
}

TEST_F(FailuresTest, AStopEndsTheWaitBeforeAnotherAttempt) {
  Refuse("/api/", 503);
  options_.retry.first_delay = options_.retry.max_delay = absl::Hours(1);
  std::stop_source stop;
  std::jthread stopper([&] {
    while (hub_.requests().empty()) std::this_thread::yield();
    stop.request_stop();
  });
  EXPECT_EQ(Fetch("main", stop.get_token()).status().code(), StatusCode::kCancelled);
}

class LockedTest : public FailuresTest {
 protected:
  LockedTest() {
    const auto folder = folder_ / ".locks/models--org--model";
    fs::create_directories(folder);
    const auto etag = WeightBlob().filename().string();
    auto lock = FileLock::Acquire((folder / (etag + ".lock")).string(), [] {}, {});
    EXPECT_TRUE(lock.ok()) << lock.status();
    lock_ = *std::move(lock);
  }
  std::unique_ptr<FileLock> lock_;
};

TEST_F(LockedTest, WaitsForWhoeverDownloadsTheSameAndUsesTheResult) {
  const auto hub = *Hub::Create(options_);
  bool has_waited = false;
  const auto snapshot = hub->Fetch({kTestRepo, "main"},
                                   [&](const DownloadProgress& now) {
                                     if (now.note.find("another process") == std::string::npos || has_waited)
                                       return;
                                     has_waited = true;
                                     WriteTestFile(WeightBlob(), hub_.BytesOf("model.safetensors"));
                                     lock_.reset();
                                   },
                                   {});
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(has_waited);
  EXPECT_THAT(hub_.storage_requests(), testing::IsEmpty());
}

TEST_F(LockedTest, AStopEndsTheWait) {
  std::stop_source stop;
  const auto hub = *Hub::Create(options_);
  const auto snapshot = hub->Fetch(
      {kTestRepo, "main"},
      [&](const DownloadProgress& now) {
        if (!now.note.empty()) stop.request_stop();
      },
      stop.get_token());
  EXPECT_EQ(snapshot.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace induct::hub
