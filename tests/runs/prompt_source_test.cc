#include "server/runs/prompt_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "common/atomic_file.h"
#include "common/status.h"
#include "nlohmann/json.hpp"

namespace induct::runs {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDemoModels[] = INDUCT_SOURCE_DIR "/deploy/demo_models";

class PromptSource : public ::testing::Test {
 protected:
  void SetUp() override {
    files_ = registry_.Open("demo-small").value();
    request_ = {
        .task_types = {"ABAB", "NAMES"}, .lag_values = {4, 8}, .n_sequences = 20, .seq_len = 64, .seed = 1};
  }

  // What went wrong with these given prompts.
  absl::Status FaultOf(std::vector<GivenPrompt> given) {
    request_.given = std::move(given);
    return MakePrompts(request_, files_).status();
  }

  models::ModelRegistry registry_{{.model_dirs = {kDemoModels}}};
  std::shared_ptr<const models::ModelFiles> files_;
  PromptRequest request_;
};

TEST_F(PromptSource, GeneratedPromptsAreTheirTextTokenisedWithABos) {
  const PromptSet set = MakePrompts(request_, files_).value();
  ASSERT_EQ(set.prompts.size(), 20);
  EXPECT_THAT(set.warnings, IsEmpty());
  for (const analysis::Prompt& prompt : set.prompts) {
    EXPECT_EQ(prompt.n_bos, 1);
    EXPECT_EQ(prompt.tokens.size(), 2 * prompt.lag + 1);
    EXPECT_EQ(prompt.tokens[0], files_->bos_token_id());
    EXPECT_EQ(files_->tokenizer()->Decode(std::span(prompt.tokens).subspan(1)), prompt.text);
  }
}

TEST_F(PromptSource, PrependBosFalseLeavesItOut) {
  request_.prepend_bos = false;
  const PromptSet set = MakePrompts(request_, files_).value();
  EXPECT_EQ(set.prompts[0].n_bos, 0);
  EXPECT_EQ(set.prompts[0].tokens.size(), 2 * set.prompts[0].lag);
}

TEST_F(PromptSource, RandomPromptsHoldOrdinaryIdsOnly) {
  request_.task_types = {"RANDOM"};
  request_.lag_values = {30};
  const PromptSet set = MakePrompts(request_, files_).value();
  const std::vector<int32_t>& ordinary = files_->tokenizer()->ordinary_ids();
  for (const analysis::Prompt& prompt : set.prompts) {
    for (size_t t = 1; t < prompt.tokens.size(); ++t) {
      EXPECT_TRUE(std::binary_search(ordinary.begin(), ordinary.end(), prompt.tokens[t])) << prompt.tokens[t];
    }
  }
}

TEST_F(PromptSource, RandomPromptsBesideOtherTasksUseNoneOfTheirWords) {
  request_.task_types = {"ABAB", "RANDOM"};
  request_.lag_values = {1};
  request_.n_sequences = 1000;
  std::set<std::vector<int32_t>> rows;
  const PromptSet set = MakePrompts(request_, files_).value();
  for (const analysis::Prompt& prompt : set.prompts)
    EXPECT_TRUE(rows.insert(prompt.tokens).second) << prompt.task;
}

TEST_F(PromptSource, LagsBelowMinLagAreWarnedOf) {
  request_.lag_values = {1, 2, 8};
  EXPECT_THAT(MakePrompts(request_, files_).value().warnings,
              ElementsAre(HasSubstr("lag 1, 2 is below min_lag 3")));
}

TEST_F(PromptSource, LongTextIsCutWithAWarning) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += " A b";
  request_.given = {{.text = text}, {.text = " A b A b"}};
  const PromptSet set = MakePrompts(request_, files_).value();
  EXPECT_EQ(set.prompts[0].tokens.size(), 64);
  EXPECT_EQ(set.prompts[0].task, "TEXT");
  EXPECT_EQ(set.prompts[1].tokens.size(), 5);
  EXPECT_THAT(set.warnings, ElementsAre(HasSubstr("1 prompt was cut to seq_len 64")));
}

TEST_F(PromptSource, TokenRowsAreUsedAsTheyAreWhateverSeqLenSays) {
  request_.seq_len = 4;
  request_.given = {{.token_ids = {5, 6, 7, 8, 5, 6, 7, 8}}};
  const PromptSet set = MakePrompts(request_, files_).value();
  EXPECT_THAT(set.prompts[0].tokens, ElementsAre(5, 6, 7, 8, 5, 6, 7, 8));
  EXPECT_EQ(set.prompts[0].n_bos, 0);
  EXPECT_EQ(set.prompts[0].task, "TOKENS");
}

TEST_F(PromptSource, ARecordRepeatsExactly) {
  const PromptSet first = MakePrompts(request_, files_).value();
  for (const analysis::Prompt& prompt : first.prompts) {
    request_.given.push_back({.task = prompt.task,
                              .lag = prompt.lag,
                              .text = prompt.text,
                              .token_ids = {prompt.tokens.begin(), prompt.tokens.end()},
                              .n_bos = prompt.n_bos});
  }
  const PromptSet again = MakePrompts(request_, files_).value();
  ASSERT_EQ(again.prompts.size(), first.prompts.size());
  for (size_t i = 0; i < first.prompts.size(); ++i) {
    EXPECT_EQ(again.prompts[i].tokens, first.prompts[i].tokens);
    EXPECT_EQ(again.prompts[i].task, first.prompts[i].task);
    EXPECT_EQ(again.prompts[i].lag, first.prompts[i].lag);
    EXPECT_EQ(again.prompts[i].n_bos, first.prompts[i].n_bos);
    EXPECT_EQ(again.prompts[i].text, first.prompts[i].text);
  }
}

TEST_F(PromptSource, BadGivenPromptsAreNamed) {
  const GivenPrompt good{.token_ids = {1, 2, 3}};
  const auto expect = [](const absl::Status& status, const char* reason, const char* says) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(ReasonOf(status), reason) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
  };
  expect(FaultOf({good, {.text = ""}}), reason::kInvalidField,
         "given_prompts[1]: prompt 1: it is empty or blank");
  expect(FaultOf({{.text = " \t\n "}}), reason::kInvalidField,
         "given_prompts[0]: prompt 0: it is empty or blank");
  expect(FaultOf({good, {.token_ids = {1, 512}}}), reason::kTokenOutsideVocabulary,
         "given_prompts[1].token_ids[1]: prompt 1: token id 512 at position 1 is outside the vocabulary; ids "
         "are 0 to 511");
  EXPECT_EQ(FieldOf(FaultOf({good, {.token_ids = {1, 512}}})), "given_prompts[1].token_ids[1]");
  expect(FaultOf({{.token_ids = std::vector<uint32_t>(513, 1)}}), reason::kPromptTooLong,
         "prompt 0: it has 513 tokens, the model's context is 512");
  expect(FaultOf({{.token_ids = {1, 2}, .n_bos = 2}}), reason::kInvalidField, "n_bos 2 of 2 tokens");
  expect(FaultOf({good, {.text = " A b"}}), reason::kInvalidField, "another number of BOS tokens");
  request_.seq_len = 1000;
  expect(FaultOf({}), reason::kPromptTooLong, "1000 tokens asked, the model's context is 512");
}

TEST_F(PromptSource, SeveralModelsOfOneTokenizerShareRandomPrompts) {
  request_.task_types = {"RANDOM"};
  const auto sets = MakeSharedPrompts(request_, {files_, registry_.Open("demo-large").value()}).value();
  ASSERT_EQ(sets.size(), 2);
  for (size_t i = 0; i < sets[0].prompts.size(); ++i)
    EXPECT_EQ(sets[0].prompts[i].tokens, sets[1].prompts[i].tokens);
}

// A copy of demo-small whose tokenizer has another order of ids, and no single token for some letters.
class OtherTokenizer : public PromptSource {
 protected:
  void SetUp() override {
    PromptSource::SetUp();
    fs::create_directories(fs::path(dir_) / "other");
    for (const char* file : {"config.json", "model.safetensors", "tokenizer_config.json"}) {
      fs::copy_file(fs::path(kDemoModels) / "demo-small" / file, fs::path(dir_) / "other" / file,
                    fs::copy_options::overwrite_existing);
    }
    auto tokenizer =
        nlohmann::json::parse(ReadFile(std::string(kDemoModels) + "/demo-small/tokenizer.json").value());
    auto& vocabulary = tokenizer["model"]["vocab"];
    const std::string a = "\u0120A", name = "\u0120B";
    std::swap(vocabulary[a], vocabulary[name]);
    auto& merges = tokenizer["model"]["merges"];
    // Without the merges of these letters with their space they are two tokens.
    nlohmann::json kept = nlohmann::json::array();
    for (const auto& merge : merges) {
      const std::string text = merge.is_string()
                                   ? merge.get<std::string>()
                                   : merge[0].get<std::string>() + " " + merge[1].get<std::string>();
      if (text != "\u0120 C" && text != "\u0120 D") kept.push_back(merge);
    }
    ASSERT_EQ(kept.size() + 2, merges.size());
    merges = kept;
    ASSERT_TRUE(WriteFileAtomically(dir_ + "/other/tokenizer.json", tokenizer.dump()).ok());
    other_ = models::ModelRegistry({.model_dirs = {dir_}}).Open("other").value();
  }
  void TearDown() override { fs::remove_all(dir_); }

  const std::string dir_ = testing::TempDir() + "/other_tokenizer";
  std::shared_ptr<const models::ModelFiles> other_;
};

TEST_F(OtherTokenizer, TextsAreTheSameAndOfWordsThatAreOneTokenInBoth) {
  const auto sets = MakeSharedPrompts(request_, {files_, other_}).value();
  for (size_t i = 0; i < sets[0].prompts.size(); ++i) {
    const analysis::Prompt &one = sets[0].prompts[i], &two = sets[1].prompts[i];
    EXPECT_EQ(one.text, two.text);
    EXPECT_EQ(one.tokens.size(), two.tokens.size());
    EXPECT_EQ(files_->tokenizer()->Decode(one.tokens), other_->tokenizer()->Decode(two.tokens));
    EXPECT_THAT(one.text, testing::Not(HasSubstr(" C")));
  }
}

TEST_F(OtherTokenizer, TooFewSharedWordsNameTheTokenizerThatLacksThem) {
  request_.task_types = {"ABAB"};
  request_.lag_values = {51};
  request_.seq_len = 128;
  EXPECT_TRUE(MakeSharedPrompts(request_, {files_}).ok());
  const absl::Status status = MakeSharedPrompts(request_, {files_, other_}).status();
  EXPECT_EQ(ReasonOf(status), reason::kNotEnoughWords);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("the tokenizer of other lacks 2 of the 52 words of ABAB"));
}

TEST_F(OtherTokenizer, RandomAndTokenRowsAreRefused) {
  request_.task_types = {"ABAB", "RANDOM"};
  EXPECT_EQ(ReasonOf(MakeSharedPrompts(request_, {files_, other_}).status()), reason::kDifferentTokenizers);
  request_.given = {{.text = " A b A b"}, {.token_ids = {1, 2, 3}}};
  const absl::Status status = MakeSharedPrompts(request_, {files_, other_}).status();
  EXPECT_EQ(ReasonOf(status), reason::kDifferentTokenizers);
  EXPECT_EQ(FieldOf(status), "given_prompts[1]");
  EXPECT_THAT(std::string(status.message()), HasSubstr("prompt 1 is made of token ids"));
}

TEST_F(OtherTokenizer, ARecordsTextCountsAndNotItsIds) {
  const PromptSet first = MakePrompts(request_, files_).value();
  for (const analysis::Prompt& prompt : first.prompts) {
    request_.given.push_back({.task = prompt.task,
                              .lag = prompt.lag,
                              .text = prompt.text,
                              .token_ids = {prompt.tokens.begin(), prompt.tokens.end()},
                              .n_bos = prompt.n_bos});
  }
  const auto sets = MakeSharedPrompts(request_, {files_, other_}).value();
  for (size_t i = 0; i < first.prompts.size(); ++i) {
    EXPECT_EQ(sets[0].prompts[i].tokens, first.prompts[i].tokens);
    EXPECT_EQ(other_->tokenizer()->Decode(std::span(sets[1].prompts[i].tokens).subspan(1)),
              first.prompts[i].text);
    EXPECT_EQ(sets[1].prompts[i].lag, first.prompts[i].lag);
  }
}

TEST_F(PromptSource, AModelWithoutTokenizerServesTokenRowsOnly) {
  const std::string dir = testing::TempDir() + "/prompt_source";
  fs::create_directories(dir + "/bare");
  for (const char* file : {"config.json", "model.safetensors"}) {
    fs::copy_file(fs::path(kDemoModels) / "demo-small" / file, fs::path(dir) / "bare" / file,
                  fs::copy_options::overwrite_existing);
  }
  models::ModelRegistry registry({.model_dirs = {dir}});
  const auto bare = registry.Open("bare").value();
  request_.given = {{.token_ids = {5, 6, 5, 6}}};
  EXPECT_TRUE(MakePrompts(request_, bare).ok());
  for (const std::vector<GivenPrompt>& given :
       {std::vector<GivenPrompt>{}, std::vector<GivenPrompt>{{.text = " A"}}}) {
    request_.given = given;
    const absl::Status status = MakePrompts(request_, bare).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(status), reason::kNoTokenizer);
    EXPECT_THAT(std::string(status.message()), HasSubstr("bare"));
  }
  fs::remove_all(dir);
}

}  // namespace
}  // namespace induct::runs
