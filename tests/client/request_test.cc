#include "client/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "google/protobuf/util/message_differencer.h"

namespace induct::client {
namespace {

using testing::ElementsAre;

// A value other than the default for every type a request setting may have, by its path.
std::string OtherValue(const SettingKey& key) {
  static const std::map<std::string, std::string> kWords = {{"dtype", "float16"},
                                                            {"score", "previous"},
                                                            {"antecedents", "all"},
                                                            {"aggregation", "mean"},
                                                            {"prompts.mix", "uniform"},
                                                            {"job.on_disconnect", "continue"},
                                                            {"evaluation.ablation", "mean"},
                                                            {"prompts.task_types", "RANDOM,TEXT"}};
  if (const auto it = kWords.find(std::string(key.path)); it != kWords.end()) return it->second;
  if (key.type == SettingType::kFlag) return key.default_value == "true" ? "false" : "true";
  if (key.type == SettingType::kReal) return "0.25";
  if (key.type == SettingType::kIntegers) return "5,7";
  return "42";
}

TEST(RequestTest, EverySettingOfRequestsComesBackAsItWasSet) {
  Settings settings;
  int keys = 0;
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    ++keys;
    ASSERT_TRUE(settings.SetText(key, OtherValue(key)).ok()) << key.path;
    Settings alone;
    ASSERT_TRUE(alone.SetText(key, OtherValue(key)).ok());
    v1::JobSpec spec;
    spec.mutable_profile();
    FillSpec(alone, &spec);
    const auto back = SettingsOfSpec(spec);
    ASSERT_TRUE(back.ok()) << back.status();
    for (const SettingKey& other : SettingKeys())
      EXPECT_EQ(back->IsSet(other.path), other.path == key.path) << other.path;
    EXPECT_EQ(back->Values(key), alone.Values(key)) << key.path;
  }
  EXPECT_GE(keys, 20);
  v1::JobSpec spec;
  spec.mutable_profile();
  FillSpec(settings, &spec);
  const v1::ProfileSpec& request = spec.profile();
  EXPECT_EQ(request.run().dtype(), "float16");
  EXPECT_EQ(request.run().seed(), 42u);
  EXPECT_EQ(request.run().memory_saver(), true);
  EXPECT_THAT(request.prompts().lag_values(), ElementsAre(5, 7));
  EXPECT_THAT(request.prompts().task_types(), ElementsAre("RANDOM", "TEXT"));
  EXPECT_EQ(request.evaluation().high_score_quantile(), 0.25);
  EXPECT_EQ(spec.options().priority(), 42);
}

TEST(RequestTest, WhatIsSetNowhereIsLeftToTheServer) {
  v1::JobSpec spec;
  spec.mutable_profile();
  FillSpec(Settings(), &spec);
  EXPECT_EQ(spec.profile().ByteSizeLong(), 0u);
  EXPECT_FALSE(spec.has_options());
}

TEST(RequestTest, ExtremeNumbersKeepEveryDigit) {
  Settings settings;
  ASSERT_TRUE(settings.SetText(*FindSettingKey("seed"), "18446744073709551615").ok());
  ASSERT_TRUE(settings.SetText(*FindSettingKey("job.priority"), "-100").ok());
  ASSERT_TRUE(settings.SetText(*FindSettingKey("evaluation.high_score_quantile"), "0.1").ok());
  v1::JobSpec spec;
  spec.mutable_nulls();
  FillSpec(settings, &spec);
  const v1::ProfileSpec& request = spec.nulls().profile();
  EXPECT_EQ(request.run().seed(), UINT64_MAX);
  EXPECT_EQ(spec.options().priority(), -100);
  EXPECT_EQ(request.evaluation().high_score_quantile(), 0.1);
  const auto back = SettingsOfSpec(spec);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->Integer("seed"), UINT64_MAX);
  EXPECT_EQ(back->Real("evaluation.high_score_quantile"), 0.1);
}

TEST(RequestTest, AValueThatSettingsDoNotAllowIsRefused) {
  v1::JobSpec spec;
  spec.mutable_profile()->mutable_run()->set_score("of a newer server");
  EXPECT_EQ(SettingsOfSpec(spec).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RequestTest, RequestIdsAreVersion4UuidsAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const std::string id = NewRequestId();
    EXPECT_THAT(id,
                testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 100u);
}

}  // namespace
}  // namespace induct::client
