#include "server/analysis/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status.h"

namespace induct::analysis {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Vocabulary WholeVocabulary() {
  Vocabulary vocabulary{
      .letters = TaskWords("ABAB"), .names = TaskWords("NAMES"), .ordinary_ids = std::vector<int32_t>(50)};
  std::iota(vocabulary.ordinary_ids.begin(), vocabulary.ordinary_ids.end(), 1000);
  return vocabulary;
}

GeneratedPrompts Generate(const PromptOptions& options, const Vocabulary& vocabulary = WholeVocabulary()) {
  auto prompts = GeneratePrompts(options, vocabulary);
  EXPECT_TRUE(prompts.ok()) << prompts.status();
  return prompts.ok() ? *std::move(prompts) : GeneratedPrompts();
}

// The words of a row; ids as text.
std::vector<std::string> Words(const GeneratedPrompt& prompt) {
  if (prompt.task == "RANDOM") return absl::StrSplit(absl::StrJoin(prompt.ids, " "), ' ');
  return absl::StrSplit(prompt.text, ' ', absl::SkipEmpty());
}

std::string Line(const GeneratedPrompt& prompt) {
  return absl::StrCat(prompt.task, " ", prompt.lag, ": ", absl::StrJoin(Words(prompt), " "));
}

std::vector<std::string> Lines(const GeneratedPrompts& generated) {
  std::vector<std::string> lines;
  for (const GeneratedPrompt& prompt : generated.prompts) lines.push_back(Line(prompt));
  return lines;
}

std::map<std::string, int> CountCells(const GeneratedPrompts& generated) {
  std::map<std::string, int> counts;
  for (const GeneratedPrompt& prompt : generated.prompts)
    ++counts[absl::StrCat(prompt.task, " ", prompt.lag)];
  return counts;
}

TEST(TaskWords, AreDistinctAndEnough) {
  EXPECT_EQ(TaskWords("ABAB").size(), 52u);
  EXPECT_GE(TaskWords("NAMES").size(), 40u);
  EXPECT_THAT(TaskWords("RANDOM"), IsEmpty());
  std::set<std::string> all;
  for (const char* task : {"ABAB", "NAMES"}) {
    for (const std::string& word : TaskWords(task)) {
      EXPECT_TRUE(all.insert(word).second) << word << " is there twice";
      EXPECT_THAT(word, testing::MatchesRegex(task == std::string("ABAB") ? "[A-Za-z]" : "[A-Z][a-z]+"));
    }
  }
}

// Recorded from a Python program written after docs/method.md and the comment in random.h.
TEST(GeneratePrompts, GivesTheSameRowsOnEveryPlatform) {
  PromptOptions options{.task_types = {"ABAB", "RANDOM"},
                        .lag_values = {2, 3},
                        .n_sequences = 6,
                        .seq_len = 16,
                        .n_bos = 1,
                        .seed = 123};
  EXPECT_THAT(Lines(Generate(options)),
              ElementsAre("ABAB 2: g n g n", "RANDOM 2: 1006 1046 1006 1046", "ABAB 3: L f X L f X",
                          "RANDOM 3: 1019 1000 1022 1019 1000 1022", "ABAB 2: Q u Q u",
                          "RANDOM 2: 1047 1020 1047 1020"));
  options.uniform_mix = true;
  EXPECT_THAT(Lines(Generate(options)),
              ElementsAre("ABAB 3: L f X L f X", "RANDOM 3: 1019 1000 1022 1019 1000 1022", "ABAB 2: g n g n",
                          "RANDOM 2: 1006 1046 1006 1046", "ABAB 3: t n F t n F",
                          "RANDOM 3: 1031 1004 1045 1031 1004 1045"));
}

TEST(GeneratePrompts, TextsBeginWithASpace) {
  const GeneratedPrompts generated = Generate({.task_types = {"NAMES"}, .lag_values = {4}, .n_sequences = 1});
  EXPECT_EQ(generated.prompts[0].text, absl::StrCat(" ", absl::StrJoin(Words(generated.prompts[0]), " ")));
  EXPECT_THAT(generated.prompts[0].ids, IsEmpty());
}

TEST(GeneratePrompts, EveryRowRepeatsABlockOfDifferentWordsAndNoneComesTwice) {
  const GeneratedPrompts generated = Generate({.task_types = {"ABAB", "NAMES", "RANDOM"},
                                               .lag_values = {1, 4, 8, 32},
                                               .n_sequences = 360,
                                               .n_repeats = 3,
                                               .seq_len = 80,
                                               .n_bos = 1});
  std::set<std::string> rows;
  for (const GeneratedPrompt& prompt : generated.prompts) {
    const std::vector<std::string> words = Words(prompt);
    EXPECT_EQ(words.size(), std::min(79u, 3 * prompt.lag));
    const std::set<std::string> block(words.begin(), words.begin() + prompt.lag);
    EXPECT_EQ(block.size(), prompt.lag) << Line(prompt);
    for (size_t i = prompt.lag; i < words.size(); ++i)
      EXPECT_EQ(words[i], words[i - prompt.lag]) << Line(prompt);
    EXPECT_TRUE(rows.insert(Line(prompt)).second) << Line(prompt);
  }
  EXPECT_EQ(rows.size(), 360u);
}

TEST(GeneratePrompts, ZeroRepeatsFillTheSequence) {
  const GeneratedPrompts generated = Generate({.task_types = {"ABAB"},
                                               .lag_values = {5},
                                               .n_sequences = 1,
                                               .n_repeats = 0,
                                               .seq_len = 23,
                                               .n_bos = 1});
  EXPECT_EQ(Words(generated.prompts[0]).size(), 22u);
}

TEST(GeneratePrompts, ManyRepeatsStopAtTheSequencesEnd) {
  const GeneratedPrompts generated = Generate(
      {.task_types = {"ABAB"}, .lag_values = {4}, .n_sequences = 1, .n_repeats = 1u << 30, .seq_len = 23});
  EXPECT_EQ(Words(generated.prompts[0]).size(), 23u);
}

TEST(GeneratePrompts, EarlierTasksAndLagsGetTheRemainder) {
  const std::map<std::string, int> counts = CountCells(
      Generate({.task_types = {"ABAB", "NAMES", "RANDOM"}, .lag_values = {4, 8, 16}, .n_sequences = 14}));
  const std::map<std::string, int> expected = {{"ABAB 4", 2},   {"ABAB 8", 2},   {"ABAB 16", 1},
                                               {"NAMES 4", 2},  {"NAMES 8", 2},  {"NAMES 16", 1},
                                               {"RANDOM 4", 2}, {"RANDOM 8", 1}, {"RANDOM 16", 1}};
  EXPECT_EQ(counts, expected);
}

TEST(GeneratePrompts, UniformMixDrawsLagsAtRandom) {
  const std::map<std::string, int> counts = CountCells(
      Generate({.task_types = {"ABAB"}, .lag_values = {4, 8}, .n_sequences = 1000, .uniform_mix = true}));
  EXPECT_NE(counts.at("ABAB 4"), 500);
  EXPECT_NEAR(counts.at("ABAB 4"), 500, 80);  // 5 standard deviations
  EXPECT_EQ(counts.at("ABAB 4") + counts.at("ABAB 8"), 1000);
}

TEST(GeneratePrompts, ACellsRowsDoNotDependOnWhatElseIsAskedFor) {
  const std::vector<std::string> alone =
      Lines(Generate({.task_types = {"NAMES"}, .lag_values = {8}, .n_sequences = 5, .seed = 9}));
  std::vector<std::string> among_others;
  for (const std::string& line : Lines(
           Generate({.task_types = {"ABAB", "NAMES"}, .lag_values = {4, 8}, .n_sequences = 20, .seed = 9}))) {
    if (line.starts_with("NAMES 8:")) among_others.push_back(line);
  }
  EXPECT_EQ(among_others, alone);
}

TEST(GeneratePrompts, AnotherSeedGivesOtherRows) {
  const PromptOptions options{.task_types = {"ABAB"}, .lag_values = {8}, .n_sequences = 3, .seed = 1};
  PromptOptions other = options;
  other.seed = 2;
  EXPECT_NE(Lines(Generate(options)), Lines(Generate(other)));
}

TEST(GeneratePrompts, RowsThatDoNotExistAreLeftOutWithAWarning) {
  const GeneratedPrompts generated =
      Generate({.task_types = {"ABAB"}, .lag_values = {1, 4}, .n_sequences = 200, .n_repeats = 4});
  EXPECT_EQ(CountCells(generated), (std::map<std::string, int>{{"ABAB 1", 52}, {"ABAB 4", 100}}));
  const std::vector<std::string> lines = Lines(generated);
  EXPECT_EQ(std::set<std::string>(lines.begin(), lines.end()).size(), 152u);
  EXPECT_THAT(generated.warnings,
              ElementsAre(testing::AllOf(HasSubstr("ABAB, lag 1"), HasSubstr("100 prompts were asked"),
                                         HasSubstr("only 52 different"))));
}

// Three words have 3 * 2 * 1 blocks of lag 3 and as many of lag 2.
TEST(GeneratePrompts, EveryBlockOfAWholeVocabularyIsFound) {
  const Vocabulary vocabulary{.names = {"Ada", "Bo", "Cy"}};
  const GeneratedPrompts generated = Generate(
      {.task_types = {"NAMES"}, .lag_values = {3, 2}, .n_sequences = 12, .uniform_mix = false}, vocabulary);
  EXPECT_EQ(CountCells(generated), (std::map<std::string, int>{{"NAMES 2", 6}, {"NAMES 3", 6}}));
  EXPECT_THAT(generated.warnings, IsEmpty());
}

TEST(GeneratePrompts, MakesAHundredThousandPromptsOfFewAndOfManyWords) {
  // Lag 2 has 52 * 51 = 2652 rows, which all must be found; lag 3 has 132,600 rows, of which a third is asked
  // for.
  const GeneratedPrompts generated =
      Generate({.task_types = {"ABAB"}, .lag_values = {2, 3, 32}, .n_sequences = 100'000, .seq_len = 64});
  EXPECT_EQ(CountCells(generated),
            (std::map<std::string, int>{{"ABAB 2", 2652}, {"ABAB 3", 33333}, {"ABAB 32", 33333}}));
}

struct BadOptions {
  const char* name;
  PromptOptions options;
  const char* field;
  const char* reason;
  const char* message;
};

class GeneratePromptsRefuses : public testing::TestWithParam<BadOptions> {};

TEST_P(GeneratePromptsRefuses, WithTheFieldAndTheReason) {
  const absl::Status status = GeneratePrompts(GetParam().options, WholeVocabulary()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), GetParam().field);
  EXPECT_EQ(ReasonOf(status), GetParam().reason);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
}

const BadOptions kBadOptions[] = {
    {"NoTask", {.lag_values = {4}}, "prompts.task_types", reason::kInvalidField, "no task"},
    {"UnknownTask",
     {.task_types = {"ABBA"}, .lag_values = {4}},
     "prompts.task_types",
     reason::kInvalidField,
     "ABBA"},
    {"TaskTwice",
     {.task_types = {"ABAB", "ABAB"}, .lag_values = {4}},
     "prompts.task_types",
     reason::kInvalidField,
     "twice"},
    {"NoLag", {.task_types = {"ABAB"}}, "prompts.lag_values", reason::kInvalidField, "no lag"},
    {"LagZero",
     {.task_types = {"ABAB"}, .lag_values = {0}},
     "prompts.lag_values",
     reason::kInvalidField,
     "1 .. 128"},
    {"LagTwice",
     {.task_types = {"ABAB"}, .lag_values = {4, 4}},
     "prompts.lag_values",
     reason::kInvalidField,
     "twice"},
    {"LagTooLong",
     {.task_types = {"ABAB"}, .lag_values = {8}, .seq_len = 16, .n_bos = 1},
     "prompts.lag_values",
     reason::kInvalidField,
     "lag 8 is outside 1 .. 7"},
    {"NoRoom",
     {.task_types = {"ABAB"}, .lag_values = {1}, .seq_len = 0, .n_bos = 1},
     "prompts.lag_values",
     reason::kInvalidField,
     "1 .. 0"},
    {"NotEnoughWords",
     {.task_types = {"RANDOM", "ABAB"}, .lag_values = {4, 51}, .n_sequences = 1},
     "prompts.lag_values",
     reason::kNotEnoughWords,
     "RANDOM has 50"},
    {"NoSequences",
     {.task_types = {"ABAB"}, .lag_values = {4}, .n_sequences = 0},
     "prompts.n_sequences",
     reason::kInvalidField,
     "0 prompts"},
    {"OneRepeat",
     {.task_types = {"ABAB"}, .lag_values = {4}, .n_repeats = 1},
     "prompts.n_repeats",
     reason::kInvalidField,
     "repeats nothing"},
};
INSTANTIATE_TEST_SUITE_P(Options, GeneratePromptsRefuses, testing::ValuesIn(kBadOptions),
                         [](const auto& info) { return info.param.name; });

TEST(GeneratePrompts, AllowsTheLongestLagThatFitsTwice) {
  const GeneratedPrompts generated =
      Generate({.task_types = {"ABAB"}, .lag_values = {7}, .n_sequences = 1, .seq_len = 16, .n_bos = 1});
  EXPECT_EQ(Words(generated.prompts[0]).size(), 14u);
}

}  // namespace
}  // namespace induct::analysis
