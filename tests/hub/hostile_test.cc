// A hub that wants to do harm: write elsewhere, learn the token, fill the memory, never end.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/shard_limits.h"
#include "server/hub/content_check.h"
#include "server/hub/hub_client.h"
#include "tests/hub/fetch_fixture.h"

namespace induct::hub {
namespace {

using absl::StatusCode;
using testing::HasSubstr;
using testing::IsEmpty;

class HostileTest : public FetchFixture {
 protected:
  HostileTest() { hub_.PutModel(); }

  void AnswerListing(const std::string& body) {
    hub_.OnEvery("/api/", [=](const Request&, Reply& reply) { reply.body = body; });
  }
  void RedirectTo(const std::string& part, const std::string& location) {
    hub_.OnEvery(part, [=](const Request&, Reply& reply) {
      reply = Reply{.status = 302, .headers = {{"Location", location}}};
    });
  }
};

TEST_F(HostileTest, OnlyNamesThatAreNeededBecomePaths) {
  hub_.Put("../../../../etc/passwd", "x");
  hub_.Put("/config.json", "x");
  hub_.Put("sub/../model.safetensors.index.json", "x");
  ExpectFetched();
  EXPECT_THAT(hub_.RequestsFor(".."), IsEmpty());
}

TEST_F(HostileTest, AnIndexThatNamesOtherPlacesIsRefused) {
  for (const std::string name :
       {"../../evil.safetensors", "/etc/evil.safetensors", ".safetensors", "a\\u0000.safetensors",
        "a\\r\\nHost: b.safetensors", "model.pickle", "a?b.safetensors"}) {
    LocalHub hub;
    hub.Put("config.json", "{}");
    hub.Put("model.safetensors.index.json", R"({"weight_map": {"tensor": ")" + name + R"("}})");
    std::filesystem::remove_all(repo());
    options_ = LocalOptions(hub, folder_.string());
    ExpectError(Fetch().status(), StatusCode::kFailedPrecondition, reason::kBadCheckpoint,
                "model.safetensors.index.json: tensor 'tensor'");
  }
}

TEST_F(HostileTest, AnIndexThatNamesMoreFilesThanACheckpointMayHaveIsRefused) {
  nlohmann::json map;
  for (size_t i = 0; i <= kMaxShards; ++i) map[std::to_string(i)] = std::to_string(i) + ".safetensors";
  LocalHub hub;
  hub.Put("config.json", "{}");
  hub.Put("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  options_ = LocalOptions(hub, folder_.string());
  ExpectError(Fetch().status(), StatusCode::kFailedPrecondition, reason::kBadCheckpoint,
              "model.safetensors.index.json: names more than 1000 files");
  map.erase("0");  // now it is a file that is missing there which ends it
  hub.Put("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  std::filesystem::remove_all(repo());
  ExpectError(Fetch().status(), StatusCode::kFailedPrecondition, reason::kUnsupportedModel,
              "no 1.safetensors");
}

TEST_F(HostileTest, ListingsThatAreNoneAreRefused) {
  for (const std::string body : {"", "<html>log in</html>", "[]", "{}",
                                 R"({"sha": "../../x", "siblings": []})", R"({"sha": 5, "siblings": []})",
                                 R"({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": {}})"}) {
    AnswerListing(body);
    ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "does HF_ENDPOINT name a hub?");
  }
}

TEST_F(HostileTest, OddSiblingsAreNoFiles) {
  AnswerListing(
      R"({"sha": "0123456789abcdef0123456789abcdef01234567", "siblings": [1, null, {}, {"rfilename": 7}]})");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kUnsupportedModel, "no config.json; its 0 files");
}

TEST_F(HostileTest, DeepListingsDoNotOverflowTheStack) {
  AnswerListing(R"({"siblings": )" + std::string(5 << 20, '[') + std::string(5 << 20, ']') + "}");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "no listing");
}

TEST_F(HostileTest, EnormousListingsAreCutOff) {
  AnswerListing(std::string(40 << 20, ' '));
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "longer than");
}

TEST_F(HostileTest, EnormousHeadsAreCutOff) {
  hub_.OnEvery("/api/", [](const Request&, Reply& reply) {
    for (int i = 0; i < 1000; ++i) reply.headers["X-" + std::to_string(i)] = "x";
  });
  ExpectRefused(StatusCode::kUnavailable, reason::kHubUnavailable, "127.0.0.1");
}

TEST_F(HostileTest, ETagsThatAreNoFileNamesAreRefused) {
  for (const std::string etag : {"", "\"\"", "\"../../../evil\"", "\"a/b\"", "\".\"", "a b"}) {
    hub_.OnEvery("HEAD", [=](const Request&, Reply& reply) {
      reply.headers.erase("X-Linked-Etag");
      reply.headers["ETag"] = etag;
    });
    ExpectError(Fetch().status(), StatusCode::kFailedPrecondition, reason::kHubUnavailable, "no usable ETag");
  }
}

TEST_F(HostileTest, AnAnswerForAnotherCommitIsRefused) {
  hub_.OnEvery("HEAD", [](const Request&, Reply& reply) { reply.headers["X-Repo-Commit"] = "other"; });
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "answers for commit 'other'");
}

TEST_F(HostileTest, AnotherCommitThanTheOneAskedForIsRefused) {
  const std::string asked(40, 'b');
  hub_.PutRevision(asked, kTestCommit);
  ExpectError(Fetch(asked).status(), StatusCode::kFailedPrecondition, reason::kHubUnavailable,
              std::string("answers for commit '") + kTestCommit);
}

TEST_F(HostileTest, APartialFileThatIsALinkIsNotWrittenThrough) {
  WriteTestFile(folder_ / "precious", "precious");
  std::filesystem::create_directories(repo() / "blobs");
  std::filesystem::create_symlink(folder_ / "precious", Incomplete());
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubCacheUnusable, Incomplete());
  EXPECT_EQ(ReadTestFile(folder_ / "precious"), "precious");
}

TEST_F(HostileTest, RedirectsToFilesAreNotFollowed) {
  RedirectTo("/api/", "file:///etc/passwd");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable,
                "no http or https address; not followed");
}

TEST_F(HostileTest, RedirectsOfAFileToFilesAreNotFollowed) {
  RedirectTo("GET /org/model/resolve/", "file:///etc/passwd");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "not followed");
}

TEST_F(HostileTest, RedirectsThatNeverEndAreGivenUp) {
  RedirectTo("/api/", "/api/again");
  ExpectRefused(StatusCode::kFailedPrecondition, reason::kHubUnavailable, "more than 10 redirects");
  EXPECT_EQ(hub_.requests().size(), 11u);
}

TEST_F(HostileTest, TlsIsNotGivenUpOnTheWay) {
  EXPECT_TRUE(CheckRedirect("https://a/x", "https://b/y").ok());
  EXPECT_TRUE(CheckRedirect("http://a/x", "https://b/y").ok());
  ExpectError(CheckRedirect("https://a/x", "http://a/x"), StatusCode::kFailedPrecondition,
              reason::kHubUnavailable, "gives up TLS");
}

TEST_F(HostileTest, AnotherPortOrHostNameOfTheSameMachineGetsNoToken) {
  options_.token = "hf_secret";
  HttpServer other([](const Request&) { return Reply{.status = 404}; });
  RedirectTo("/api/", "http://localhost:" + std::to_string(other.port()) + "/x");
  EXPECT_FALSE(Fetch().ok());
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_EQ(other.requests()[0].Header("authorization"), "");
}

TEST_F(HostileTest, ACredentialInARedirectIsNotTheToken) {
  options_.token = "hf_secret";
  const std::string location = absl::StrCat("http://127.0.0.1:80@localhost:", 1, "/x");
  RedirectTo("/api/", location);
  options_.retry.max_attempts = 1;
  const absl::Status status = Fetch().status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr("hf_secret")));
}

TEST_F(HostileTest, ABodyThatNobodyReadsIsNotWaitedFor) {
  hub_.OnEvery("/api/", [](const Request&, Reply& reply) {
    reply = Reply{.status = 404, .body = std::string(8 << 20, 'x'), .stall_after = 4 << 20};
  });
  options_.metadata_timeout = absl::Hours(1);
  ExpectRefused(StatusCode::kNotFound, reason::kModelNotFound, "there is no repository");
}

TEST(OriginTest, IsSchemeHostAndPort) {
  EXPECT_EQ(OriginOf("https://HuggingFace.co/a?b"), "https://huggingface.co:443");
  EXPECT_EQ(OriginOf("http://127.0.0.1:80/x"), "http://127.0.0.1:80");
  EXPECT_EQ(OriginOf("http://huggingface.co@evil.org/"), "http://evil.org:80");
  for (const char* none : {"", "file:///etc/passwd", "ftp://a/b", "huggingface.co", "//a/b", "/a"}) {
    EXPECT_EQ(OriginOf(none), "") << none;
  }
  EXPECT_EQ(WithoutQuery("https://a/b?signature=1#x"), "https://a/b");
}

// Sums that git and sha256sum print.
TEST_F(HostileTest, ContentIsWhatItsSumSays) {
  WriteTestFile(folder_ / "hello", "hello\n");
  FILE* file = fopen((folder_ / "hello").c_str(), "rb");
  const auto check = [&](uint64_t size, const std::string& etag) {
    return CheckContent(fileno(file), size, etag, {});
  };
  EXPECT_TRUE(check(6, "ce013625030ba8dba906f756967f9e9ca394464a").ok());
  EXPECT_TRUE(check(6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03").ok());
  EXPECT_TRUE(check(0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").ok());
  EXPECT_TRUE(check(6, "another-kind-of-tag").ok());
  EXPECT_TRUE(absl::IsDataLoss(check(5, "ce013625030ba8dba906f756967f9e9ca394464a")));
  EXPECT_TRUE(absl::IsDataLoss(check(7, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")));
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(absl::IsCancelled(CheckContent(fileno(file), 6, std::string(64, '0'), stop.get_token())));
  fclose(file);
}

}  // namespace
}  // namespace induct::hub
