#include "common/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "common/atomic_file.h"
#include "common/status.h"

namespace induct {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string ErrorOf(const std::string& yaml) {
  const auto settings = ParseSettings(yaml, "my.yaml");
  return settings.ok() ? "no error" : std::string(settings.status().message());
}

TEST(SettingsTable, FlagsAndEnvironmentVariablesAreUnique) {
  std::set<std::string> flags, variables;
  for (const SettingKey& key : SettingKeys()) {
    EXPECT_TRUE(flags.insert(SettingFlag(key)).second) << key.path;
    EXPECT_TRUE(variables.insert(SettingEnvironment(key)).second) << key.path;
    EXPECT_EQ(FindSettingKey(key.path), &key);
    EXPECT_EQ(FindSettingFlag(SettingFlag(key)), &key);
  }
  EXPECT_EQ(SettingEnvironment(*FindSettingKey("prompts.lag_values")), "INDUCT_PROMPTS_LAG_VALUES");
}

TEST(SettingsTable, EveryDefaultPassesItsOwnCheck) {
  const Settings defaults;
  for (const SettingKey& key : SettingKeys()) {
    Settings settings;
    EXPECT_TRUE(settings.Set(key, defaults.Values(key)).ok()) << key.path;
  }
}

TEST(SettingsFile, TheDocumentedFileHoldsEveryKeyWithItsDefault) {
  const auto settings = LoadSettings(INDUCT_SOURCE_DIR "/settings.yaml");
  ASSERT_TRUE(settings.ok()) << settings.status();
  const Settings defaults;
  for (const SettingKey& key : SettingKeys()) {
    EXPECT_TRUE(settings->IsSet(key.path)) << key.path << " is missing in settings.yaml";
    EXPECT_EQ(settings->Values(key), defaults.Values(key)) << key.path;
  }
}

TEST(SettingsFile, TheOriginalExperimentsFileLoadsUnchanged) {
  const auto settings = ParseSettings(R"(
models:
  - id: pythia-410m
  - id: pythia-1b
device: cuda
dtype: float16
seq_len: 256
batch_size: 8
seed: 123
prompts:
  n_sequences: 400
  lag_values: [1, 2, 4, 8, 16, 32]
  task_types: [ABAB, NAMES]
evaluation:
  high_score_quantile: 0.9
  bootstrap_resamples: 1000
  shuffle_null: true
  head_permutation_null: true
)",
                                      "original.yaml");
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_THAT(settings->Texts("models"), ElementsAre("pythia-410m", "pythia-1b"));
  EXPECT_EQ(settings->Text("dtype"), "float16");
  EXPECT_THAT(settings->Integers("prompts.lag_values"), ElementsAre(1, 2, 4, 8, 16, 32));
  EXPECT_TRUE(settings->Flag("evaluation.shuffle_null"));
}

TEST(SettingsFile, UnknownKeyNamesFileLineAndTheNearestKnownKey) {
  EXPECT_THAT(ErrorOf("seed: 1\nseq_length: 5\n"),
              AllOf(HasSubstr("my.yaml:2"), HasSubstr("did you mean seq_len?")));
  EXPECT_THAT(ErrorOf("prompts:\n  lag_valuse: [4]\n"),
              AllOf(HasSubstr("my.yaml:2"), HasSubstr("did you mean prompts.lag_values?")));
  EXPECT_THAT(ErrorOf("lag_values: [4]\n"), HasSubstr("did you mean prompts.lag_values?"));
  EXPECT_THAT(ErrorOf("zzzzzzzzzzzzzz: 4\n"), HasSubstr("there is no such key"));
}

TEST(SettingsFile, BrokenFilesAreRefusedWithTheirLine) {
  EXPECT_THAT(ErrorOf("prompts:\n\tn_sequences: 4\n"), AllOf(HasSubstr("my.yaml:2"), HasSubstr("tabs")));
  EXPECT_THAT(ErrorOf("seed: 1\nseed: 2\n"), AllOf(HasSubstr("my.yaml:2"), HasSubstr("second time")));
  EXPECT_THAT(ErrorOf("prompts:\n  n_sequences: 1\n  n_sequences: 2\n"), HasSubstr("my.yaml:3"));
  EXPECT_THAT(ErrorOf("seq_len: [1, 2]\n"), HasSubstr("one value needed"));
  EXPECT_THAT(ErrorOf("seq_len: {a: 1}\n"), HasSubstr("a plain value is needed"));
  EXPECT_THAT(ErrorOf("seq_len:\n"), HasSubstr("a value is missing"));
  EXPECT_THAT(ErrorOf("prompts: 5\n"), HasSubstr("a group of keys is needed"));
  EXPECT_THAT(ErrorOf("- a\n- b\n"), HasSubstr("keys and values are needed"));
  EXPECT_THAT(ErrorOf("seed: [1"), HasSubstr("no valid YAML"));
  EXPECT_EQ(LoadSettings("/nowhere/settings.yaml").status().code(), absl::StatusCode::kNotFound);
}

struct BadValue {
  const char* path;
  const char* value;
  const char* says;
};

class SettingsRange : public ::testing::TestWithParam<BadValue> {};

TEST_P(SettingsRange, IsRefusedSayingWhatIsAllowed) {
  Settings settings;
  const absl::Status status = settings.SetText(*FindSettingKey(GetParam().path), GetParam().value);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument)
      << GetParam().path << " = " << GetParam().value;
  EXPECT_EQ(FieldOf(status), GetParam().path);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, SettingsRange,
    ::testing::Values(BadValue{"seq_len", "3", "from 4"}, BadValue{"seq_len", "4.5", "whole number"},
                      BadValue{"seq_len", "-1", "whole number"}, BadValue{"seq_len", "", "nothing given"},
                      BadValue{"seed", "18446744073709551616", "2^64 - 1"},
                      BadValue{"seed", "-1", "whole number"}, BadValue{"batch_size", "4097", "or auto"},
                      BadValue{"memory_saver", "maybe", "true or false"},
                      BadValue{"score", "induktion", "induction, duplicate, previous"},
                      BadValue{"evaluation.high_score_quantile", "1", "below 1"},
                      BadValue{"evaluation.high_score_quantile", "-0.1", "from 0"},
                      BadValue{"evaluation.high_score_quantile", "nan", "a number"},
                      BadValue{"evaluation.bootstrap_resamples", "19", "from 20"},
                      BadValue{"prompts.n_sequences", "0", "from 1"},
                      BadValue{"prompts.n_sequences", "100001", "to 100000"},
                      BadValue{"prompts.lag_values", "", "at least one"},
                      BadValue{"prompts.lag_values", "4,8,4", "given twice"},
                      BadValue{"prompts.task_types", "ABAB,abab", "one of ABAB"},
                      BadValue{"prompts.n_repeats", "1", "from 2"}, BadValue{"job.priority", "101", "to 100"},
                      BadValue{"listen", "a\nb", "control characters"}));

TEST(Settings, WordsStandForZeroWhereTheTableSaysSo) {
  Settings settings;
  ASSERT_TRUE(settings.SetText(*FindSettingKey("batch_size"), "auto").ok());
  EXPECT_EQ(settings.Integer("batch_size"), 0);
  ASSERT_TRUE(settings.SetText(*FindSettingKey("prompts.n_repeats"), "fill").ok());
  EXPECT_EQ(settings.Integer("prompts.n_repeats"), 0);
  ASSERT_TRUE(settings.SetText(*FindSettingKey("seed"), "18446744073709551615").ok());
  EXPECT_EQ(settings.Integer("seed"), 18446744073709551615u);
}

TEST(Settings, TheLaterOverridesTheEarlier) {
  Settings file, flags;
  ASSERT_TRUE(file.SetText(*FindSettingKey("seed"), "1").ok());
  ASSERT_TRUE(file.SetText(*FindSettingKey("seq_len"), "64").ok());
  ASSERT_TRUE(flags.SetText(*FindSettingKey("seed"), "2").ok());
  file.Override(flags);
  EXPECT_EQ(file.Integer("seed"), 2);
  EXPECT_EQ(file.Integer("seq_len"), 64);
}

TEST(Settings, EnvironmentVariablesAreReadAndChecked) {
  setenv("INDUCT_PROMPTS_LAG_VALUES", "5, 6", 1);
  const auto settings = SettingsFromEnvironment();
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_THAT(settings->Integers("prompts.lag_values"), ElementsAre(5, 6));
  setenv("INDUCT_PROMPTS_LAG_VALUES", "many", 1);
  EXPECT_THAT(std::string(SettingsFromEnvironment().status().message()),
              HasSubstr("INDUCT_PROMPTS_LAG_VALUES"));
  unsetenv("INDUCT_PROMPTS_LAG_VALUES");
}

TEST(Settings, YamlReadsBackAsTheSameValues) {
  Settings settings;
  ASSERT_TRUE(settings.SetText(*FindSettingKey("models"), "no,123,a: b").ok());
  ASSERT_TRUE(settings.SetText(*FindSettingKey("prompts.lag_values"), "3,50").ok());
  ASSERT_TRUE(settings.SetText(*FindSettingKey("evaluation.high_score_quantile"), "0.1").ok());
  const std::vector<SettingOwner> owners = {SettingOwner::kServer, SettingOwner::kRequest,
                                            SettingOwner::kClient};
  const auto read = ParseSettings(settings.ToYaml(owners), "written.yaml");
  ASSERT_TRUE(read.ok()) << read.status() << settings.ToYaml(owners);
  for (const SettingKey& key : SettingKeys()) EXPECT_EQ(read->Values(key), settings.Values(key)) << key.path;
}

}  // namespace
}  // namespace induct
