// The environment as the Python library reads it (huggingface_hub/constants.py and utils/_auth.py).
#include "server/hub/hub_options.h"

#include <map>

#include "tests/hub/hub_fixture.h"

namespace induct::hub {
namespace {

class HubOptionsTest : public CacheFolder {
 protected:
  HubOptions Options(std::map<std::string, std::string> variables) const {
    variables.emplace("HOME", folder_.string());
    return HubOptions::From([&](const char* name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    });
  }
  std::string InHome(const std::string& path) const { return (folder_ / path).string(); }
};

TEST_F(HubOptionsTest, DefaultsAreThePublicHubAndTheUsersCache) {
  const HubOptions options = Options({});
  EXPECT_EQ(options.endpoint, "https://huggingface.co");
  EXPECT_EQ(options.cache_dir, InHome(".cache/huggingface/hub"));
  EXPECT_EQ(options.token, "");
  EXPECT_FALSE(options.offline);
  EXPECT_TRUE(options.use_symlinks);
  EXPECT_EQ(options.metadata_timeout, absl::Seconds(10));
  EXPECT_EQ(options.stall_timeout, absl::Seconds(10));
}

TEST_F(HubOptionsTest, TheCacheIsWhereTheMostSpecificVariableSays) {
  std::map<std::string, std::string> variables = {{"XDG_CACHE_HOME", "/xdg"}};
  EXPECT_EQ(Options(variables).cache_dir, "/xdg/huggingface/hub");
  variables["HF_HOME"] = "~/hf";
  EXPECT_EQ(Options(variables).cache_dir, InHome("hf/hub"));
  variables["HUGGINGFACE_HUB_CACHE"] = "$XDG_CACHE_HOME/legacy";
  EXPECT_EQ(Options(variables).cache_dir, "/xdg/legacy");
  variables["HF_HUB_CACHE"] = "${HF_HUB_CACHE_ROOT}/new/$UNSET";
  variables["HF_HUB_CACHE_ROOT"] = "/root";
  EXPECT_EQ(Options(variables).cache_dir, "/root/new/$UNSET");
}

TEST_F(HubOptionsTest, TheTokenComesFromTheEnvironmentOrElseTheFile) {
  WriteTestFile(folder_ / ".cache/huggingface/token", "from_home\n");
  EXPECT_EQ(Options({}).token, "from_home");
  WriteTestFile(folder_ / "secret", " from_path\r\n");
  EXPECT_EQ(Options({{"HF_TOKEN_PATH", "~/secret"}}).token, "from_path");
  EXPECT_EQ(Options({{"HUGGING_FACE_HUB_TOKEN", "legacy"}}).token, "legacy");
  EXPECT_EQ(Options({{"HUGGING_FACE_HUB_TOKEN", "legacy"}, {"HF_TOKEN", " given\n"}}).token, "given");
  EXPECT_EQ(Options({{"HF_TOKEN", "given"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"}}).token, "");
}

TEST_F(HubOptionsTest, FlagsAreTrueAsInPython) {
  for (const char* value : {"1", "true", "YES", "On"}) {
    EXPECT_TRUE(Options({{"HF_HUB_OFFLINE", value}}).offline) << value;
    EXPECT_TRUE(Options({{"TRANSFORMERS_OFFLINE", value}}).offline) << value;
    EXPECT_FALSE(Options({{"HF_HUB_DISABLE_SYMLINKS", value}}).use_symlinks) << value;
  }
  for (const char* value : {"0", "", "no", "2"})
    EXPECT_FALSE(Options({{"HF_HUB_OFFLINE", value}}).offline) << value;
}

TEST_F(HubOptionsTest, EndpointAndTimeoutsAreTaken) {
  const HubOptions options = Options({{"HF_ENDPOINT", "http://mirror:8080/hf//"},
                                      {"HF_HUB_ETAG_TIMEOUT", "3"},
                                      {"HF_HUB_DOWNLOAD_TIMEOUT", "40"}});
  EXPECT_EQ(options.endpoint, "http://mirror:8080/hf");
  EXPECT_EQ(options.metadata_timeout, absl::Seconds(3));
  EXPECT_EQ(options.stall_timeout, absl::Seconds(40));
  EXPECT_EQ(Options({{"HF_HUB_DOWNLOAD_TIMEOUT", "soon"}}).stall_timeout, absl::Seconds(10));
}

TEST_F(HubOptionsTest, RefusesEndpointsAndTokensThatCannotBeSent) {
  HubOptions options = Options({});
  EXPECT_TRUE(CheckOptions(options).ok());
  for (const char* endpoint : {"", "huggingface.co", "file:///etc", "https://a b", "https://a\r\nX: y"}) {
    options.endpoint = endpoint;
    ExpectError(CheckOptions(options), absl::StatusCode::kInvalidArgument, "", "HF_ENDPOINT");
  }
  options = Options({});
  options.token = "a\r\nHost: evil";
  const absl::Status status = CheckOptions(options);
  ExpectError(status, absl::StatusCode::kInvalidArgument, "", "HF_TOKEN");
  EXPECT_THAT(std::string(status.message()), testing::Not(testing::HasSubstr("evil")));
}

}  // namespace
}  // namespace induct::hub
