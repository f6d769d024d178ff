#include "server/checkpoint/json.h"

#include "absl/strings/str_cat.h"
#include "server/checkpoint/errors.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;
using testing::ElementsAre;

TEST(ParseJson, ReadsWhatOtherParsersRead) {
  const std::string text =
      R"({"a":[1,-2,3.5,true,null,"x\u00e9\n",{}],"b":{"c":{"d":[[]]}},"":18446744073709551615})";
  const auto document = ParseJson(text, "file");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(*document, json::parse(text));
}

TEST(ParseJson, NamesTheByteThatIsWrong) {
  ExpectBroken(ParseJson(R"({"a":1,})", "file").status(), "file: not valid JSON at byte 8 of 8");
  ExpectBroken(ParseJson("{} 1", "file").status(), "not valid JSON at byte 4 of 4");
  ExpectBroken(ParseJson("[1e999]", "file").status(), "out of range");
}

TEST(ParseJson, RefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_TRUE(ParseJson(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]})", "file").ok());
  ExpectBroken(ParseJson(R"({"x":{"a":1,"b":2,"a":3}})", "file").status(), "'a' stands twice");
}

TEST(ParseJson, BoundsDepthValuesAndTexts) {
  const std::string deep(kMaxJsonDepth, '[');
  EXPECT_TRUE(ParseJson(deep + std::string(kMaxJsonDepth, ']'), "file").ok());
  ExpectBroken(ParseJson(deep + "[", "file").status(), "nested deeper");
  std::string many = "[0";
  for (size_t i = 2; i < kMaxJsonValues; ++i) many += ",0";
  EXPECT_TRUE(ParseJson(many + "]", "file").ok());
  ExpectBroken(ParseJson(many + ",0]", "file").status(), "more than 262144 values");
  struct Token {
    const char* begin;
    char fill;
    const char* end;
  };
  for (const auto& [begin, fill, end] : {Token{"[\"", 'x', "\"]"}, {"[0.", '0', "]"}, {"[", ' ', "1]"}}) {
    EXPECT_TRUE(ParseJson(begin + std::string(kMaxJsonTokenBytes - 10, fill) + end, "file").ok());
    ExpectBroken(ParseJson(begin + std::string(kMaxJsonTokenBytes, fill) + end, "file").status(),
                 "a text, number or gap of more than 1048576 bytes");
  }
}

TEST(ParseJson, HandsOverWhatIsStreamedAndKeepsTheRest) {
  std::vector<std::string> members;
  const auto take = [&](const std::string& key, const json& value) {
    members.push_back(absl::StrCat(key, "=", value.dump()));
    return absl::OkStatus();
  };
  const JsonStream streams[] = {{{"m", "object"}, take}, {{"m", "list"}, take}};
  const auto document = ParseJson(
      R"({"object":{"kept":1},"m":{"list":[1,[2,3],{"list":4}],"object":{"a":{"object":{"x":5}},"b":6,"b":7},"n":8}})",
      "file", streams);
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_THAT(members,
              ElementsAre("=1", "=[2,3]", R"(={"list":4})", R"(a={"object":{"x":5}})", "b=6", "b=7"));
  EXPECT_EQ(*document, json::parse(R"({"object":{"kept":1},"m":{"list":[],"object":{},"n":8}})"));
}

TEST(ParseJson, StreamsMoreThanItWouldKeepAndStopsAtTheFirstError) {
  std::string text = "[";
  for (size_t i = 0; i < 2 * kMaxJsonValues; ++i) text += "0,";
  text.back() = ']';
  size_t n = 0;
  const JsonStream all = {{}, [&](const std::string&, const json&) {
                            ++n;
                            return absl::OkStatus();
                          }};
  EXPECT_TRUE(ParseJson(text, "file", std::span(&all, 1)).ok());
  EXPECT_EQ(n, 2 * kMaxJsonValues);
  n = 0;
  const JsonStream some = {{}, [&](const std::string&, const json&) {
                             return ++n == 3 ? BadCheckpoint("enough") : absl::OkStatus();
                           }};
  ExpectBroken(ParseJson(text, "file", std::span(&some, 1)).status(), "enough");
  EXPECT_EQ(n, 3u);
}

}  // namespace
}  // namespace induct::checkpoint
