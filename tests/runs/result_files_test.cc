#include "server/runs/result_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "common/npy.h"

namespace induct::runs {
namespace {

using ::testing::ElementsAre;

TEST(PromptFiles, EachLineIsOnePromptAndTextIsAbsentForIds) {
  const std::vector<analysis::Prompt> prompts = {
      {.task = "TEXT", .text = "a \"b\"\nc", .tokens = {0, 7, 8}, .n_bos = 1},
      {.task = "RANDOM", .lag = 2, .tokens = {0, 5, 6, 5, 6}, .n_bos = 1}};
  std::map<std::string, std::string> files;
  const FileSink sink = [&](const std::string& name, const std::string&, std::string bytes) {
    files[name] = std::move(bytes);
    return absl::OkStatus();
  };
  ASSERT_TRUE(WritePromptFile("prompts_m.jsonl", prompts, sink).ok());
  ASSERT_TRUE(WritePromptTexts(prompts, sink).ok());
  const std::string& jsonl = files["prompts_m.jsonl"];
  const size_t end = jsonl.find('\n');
  const auto first = nlohmann::json::parse(jsonl.substr(0, end));
  EXPECT_EQ(first["text"], "a \"b\"\nc");
  EXPECT_EQ(first["token_ids"], (std::vector<int>{0, 7, 8}));
  EXPECT_EQ(first["n_bos"], 1);
  const auto second = nlohmann::json::parse(jsonl.substr(end + 1));
  EXPECT_FALSE(second.contains("text"));
  EXPECT_EQ(second["task"], "RANDOM");
  EXPECT_EQ(second["lag"], 2);
  EXPECT_EQ(files["prompts.txt"], "a \"b\"\\nc\n\n");
}

TEST(ScoreFiles, TheChosenKindIsThereUnderBothNames) {
  analysis::ProfileResult result;
  result.options.score = analysis::ScoreKind::kDuplicate;
  result.n_layers = 1;
  result.n_heads = 2;
  result.n_prompts = 1;
  result.scores = {{.kind = analysis::ScoreKind::kDuplicate, .n_copy_ops = 1, .values = {0.25f, 0.5f}}};
  result.prompt_scores = {0.25f, 0.5f};
  result.prompt_counts = {1};
  std::map<std::string, std::string> files;
  ASSERT_TRUE(
      WriteScoreFiles("m", result, [&](const std::string& name, const std::string&, std::string bytes) {
        files[name] = std::move(bytes);
        return absl::OkStatus();
      }).ok());
  EXPECT_EQ(files.size(), 4);  // no file for the kinds without operations
  EXPECT_EQ(files["scores_m.npy"], files["scores_m_duplicate.npy"]);
  EXPECT_THAT(ParseFloatNpy(files["scores_m.npy"])->shape, ElementsAre(1, 2));
  EXPECT_THAT(ParseFloatNpy(files["prompt_scores_m.npy"])->shape, ElementsAre(1, 1, 2));
}

}  // namespace
}  // namespace induct::runs
