// The tokenizer against what the `tokenizers` package recorded: data/ (made by make_tokenizers.py) and, where
// INDUCT_TOKENIZERS names a folder of them, tokenizers of published models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "common/atomic_file.h"
#include "common/status.h"
#include "server/checkpoint/tokenizer.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

const std::filesystem::path kData = std::filesystem::path(INDUCT_SOURCE_DIR) / "tests/checkpoint/data";

std::string FileText(const std::filesystem::path& path) {
  absl::StatusOr<std::string> text = ReadFile(path.string());
  EXPECT_TRUE(text.ok()) << text.status();
  return text.value_or("");
}

std::unique_ptr<Tokenizer> LoadFile(const std::filesystem::path& path) {
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Parse(FileText(path));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::vector<json> Lines(const std::filesystem::path& path) {
  std::vector<json> lines;
  std::istringstream text(FileText(path));
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

// Bytes as the package shows them: what is not UTF-8 becomes U+FFFD.
std::string Shown(const std::string& bytes) {
  return json(bytes).dump(-1, ' ', false, json::error_handler_t::replace);
}

void ExpectIds(const Tokenizer& tokenizer, const json& line) {
  const std::string text = line["text"];
  const auto ids = tokenizer.Encode(text);
  ASSERT_TRUE(ids.ok()) << ids.status();
  EXPECT_EQ(*ids, line["ids"].get<std::vector<int32_t>>()) << line["text"].dump();
}

void ExpectDecoded(const Tokenizer& tokenizer, const json& line) {
  const auto ids = line["ids"].get<std::vector<int32_t>>();
  EXPECT_EQ(Shown(tokenizer.Decode(ids)), line["decoded"].dump()) << line["ids"].dump();
}

class SmallTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(SmallTokenizer, GivesTheIdsAndTextsOfTheReference) {
  const auto tokenizer = LoadFile(kData / (GetParam() + ".json"));
  ASSERT_NE(tokenizer, nullptr);
  const std::vector<json> lines = Lines(kData / (GetParam() + "_cases.jsonl"));
  EXPECT_GT(lines.size(), 100u);
  for (const json& line : lines) {
    ExpectIds(*tokenizer, line);
    if (!line["decoded"].is_null()) ExpectDecoded(*tokenizer, line);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmallTokenizer,
                         testing::Values("neox", "gpt2", "llama3", "qwen2", "smollm2", "digit_runs", "cased",
                                         "several", "behaviours", "constructs", "prefix_space",
                                         "added_tokens", "whole_text"),
                         [](const auto& info) { return info.param; });

std::filesystem::path PublishedTokenizers() {
  const char* folder = std::getenv("INDUCT_TOKENIZERS");
  return folder == nullptr ? "" : folder;
}

class PublishedTokenizer : public testing::TestWithParam<std::string> {};

TEST_P(PublishedTokenizer, GivesTheIdsAndTextsOfTheReference) {
  if (PublishedTokenizers().empty())
    GTEST_SKIP() << "INDUCT_TOKENIZERS names no folder of published tokenizers";
  const std::filesystem::path folder = PublishedTokenizers() / GetParam();
  const auto tokenizer = LoadFile(folder / "tokenizer.json");
  ASSERT_NE(tokenizer, nullptr);
  size_t compared = 0;
  for (const json& line : Lines(folder / "ids.jsonl")) {
    ExpectDecoded(*tokenizer, line);
    if (line["uver"]) continue;  // normalised by tables of an older Unicode
    ExpectIds(*tokenizer, line);
    ++compared;
  }
  EXPECT_GT(compared, 200u);
  for (const json& line : Lines(folder / "decode.jsonl")) ExpectDecoded(*tokenizer, line);
}

// Letters and names, most of them with a space before them, that are one token, and a few that are several.
TEST_P(PublishedTokenizer, KnowsWhichWordsAreOneToken) {
  if (PublishedTokenizers().empty())
    GTEST_SKIP() << "INDUCT_TOKENIZERS names no folder of published tokenizers";
  const auto tokenizer = LoadFile(PublishedTokenizers() / GetParam() / "tokenizer.json");
  ASSERT_NE(tokenizer, nullptr);
  const json all = json::parse(FileText(PublishedTokenizers() / "single_tokens.json"))[GetParam()];
  size_t compared = 0;
  for (const auto& [list, words] : all.items()) {
    for (const auto& [word, ids] : words.items()) {
      const json expected = ids.is_array() ? ids : json::array({ids});
      EXPECT_EQ(json(*tokenizer->Encode(word)), expected) << list << " " << word;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100u);
}

INSTANTIATE_TEST_SUITE_P(All, PublishedTokenizer, testing::Values("gpt-neox-20b", "gpt2", "qwen2.5"),
                         [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace induct::checkpoint
