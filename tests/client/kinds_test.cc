// The table of kinds against the contract, and what is asked of it.
#include "client/kinds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "client/annotations.h"
#include "client/repeat_flags.h"
#include "common/file_names.h"
#include "common/settings.h"
#include "google/protobuf/descriptor.h"
#include "proto/job_specs.h"
#include "tests/client/example_runs.h"

namespace induct::client {
namespace {

using testing::ElementsAre;

TEST(KindsTest, EveryAnalysisOfTheContractIsInTheTableWithItsResult) {
  const auto* analyses = v1::JobSpec::descriptor()->FindOneofByName("analysis");
  ASSERT_EQ(AnalysisKinds().size(), static_cast<size_t>(analyses->field_count()));
  for (const AnalysisKind& kind : AnalysisKinds()) {
    const auto* field = v1::JobSpec::descriptor()->FindFieldByNumber(kind.field);
    ASSERT_NE(field, nullptr) << kind.title;
    EXPECT_EQ(field->containing_oneof(), analyses);
    const auto* result = v1::JobResult::descriptor()->FindFieldByName(field->name());
    ASSERT_NE(result, nullptr) << field->name();
    EXPECT_EQ(kind.result.prototype->GetDescriptor(), result->message_type()) << field->name();
    EXPECT_EQ(field->message_type()->FindFieldByName("models") != nullptr, kind.compares_models);
  }
}

TEST(KindsTest, EveryKindIsWhole) {
  std::set<std::string> commands;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    ASSERT_FALSE(kind.commands.empty()) << kind.title;
    for (const KindCommand& command : kind.commands) {
      EXPECT_TRUE(commands.insert(command.name).second) << command.name;
      EXPECT_EQ(KindOfCommand(command.name), &kind);
    }
    const std::vector<std::string> models =
        kind.compares_models ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a"};
    const v1::JobSpec spec = NewSpec(kind, models);
    EXPECT_EQ(KindOfSpec(spec), &kind);
    EXPECT_EQ(ModelsOf(spec), models);
    EXPECT_EQ(KindOf(spec), kind.commands.front().name) << "a job without annotations is called so";
    EXPECT_TRUE(kind.result.name != nullptr && kind.summary != nullptr && kind.figures != nullptr &&
                kind.findings != nullptr && !kind.title.empty() && !kind.question.empty())
        << kind.title;
    EXPECT_TRUE(IsSafeFileName(kind.result.name("m"))) << kind.title;
    for (const KindFlag& flag : kind.flags) EXPECT_NE(flag.apply, nullptr) << flag.name;
  }
  EXPECT_EQ(KindOfCommand("report"), nullptr);
  EXPECT_EQ(KindOfSpec({}), nullptr);
}

TEST(KindsTest, SettingsHaveAnEffectOnTheKindsThatHaveTheirTopic) {
  std::set<std::string> topics, of_kinds;
  for (const SettingKey& key : SettingKeys()) topics.insert(std::string(key.topic));
  for (const AnalysisKind& kind : AnalysisKinds()) of_kinds.insert(kind.topics.begin(), kind.topics.end());
  EXPECT_EQ(topics.erase(""), 1u);
  EXPECT_EQ(topics, of_kinds);
  const auto commands_of = [](const char* path) {
    std::string commands;
    for (const char* command :
         {"profile", "crosssize", "multisize", "nulls", "causal", "lagbuckets", "pattern", "targets", "run"})
      commands += HasEffectOn(*FindSettingKey(path), command) ? absl::StrCat(command, " ") : "";
    return commands;
  };
  const std::string all = "profile crosssize multisize nulls causal lagbuckets pattern targets run ";
  EXPECT_EQ(commands_of("seed"), all);
  EXPECT_EQ(commands_of("score"), "profile crosssize multisize nulls causal lagbuckets pattern run ");
  EXPECT_EQ(commands_of("aggregation"), "profile crosssize multisize nulls lagbuckets targets run ");
  EXPECT_EQ(commands_of("evaluation.bootstrap_resamples"),
            "profile crosssize multisize nulls causal lagbuckets targets run ");
  EXPECT_EQ(commands_of("evaluation.null_resamples"), "nulls targets run ");
  EXPECT_EQ(commands_of("evaluation.causal_top_k"), "causal run ");
  EXPECT_EQ(commands_of("evaluation.lag_edges"), "lagbuckets run ");
}

TEST(KindsTest, RunsOfNullsAndComparisonsLeaveProfilesAsWell) {
  const AnalysisKind& profile = *KindOfCommand("profile");
  std::vector<std::string> leaving;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (Leaves(kind, profile)) leaving.push_back(kind.commands.front().name);
    EXPECT_TRUE(Leaves(kind, kind));
  }
  EXPECT_THAT(leaving, ElementsAre("profile", "crosssize", "nulls"));
  EXPECT_FALSE(Leaves(profile, *KindOfCommand("nulls")));
}

TEST(KindsTest, ResultsAreFoundWhereTheirKindKeepsThem) {
  const SavedRun run = ExampleRun("crosssize", {ExampleModel("a", 4, 4), ExampleModel("b", 4, 4)});
  EXPECT_EQ(ResultsOf(*KindOfCommand("crosssize"), run).size(), 1u);
  EXPECT_EQ(ResultsOf(*KindOfCommand("crosssize"), run)[0].model, nullptr);
  EXPECT_EQ(ResultsOf(*KindOfCommand("profile"), run).size(), 2u);
  EXPECT_EQ(ResultsOf(*KindOfCommand("profile"), run)[1].model, &run.models[1]);
  EXPECT_TRUE(ResultsOf(*KindOfCommand("nulls"), run).empty());
}

TEST(RepeatFlagsTest, AResolvedSpecAndLabelsTellThemAll) {
  v1::JobSpec spec;
  v1::CausalSpec* causal = spec.mutable_causal();
  causal->mutable_profile()->set_model("org/m");
  EXPECT_EQ(FlagsToRepeat(spec, "org/m", {"org/m"}), "");
  causal->mutable_profile()->set_n_given_prompts(3);
  causal->set_n_control_prompts(1);
  for (uint32_t head : {2u, 5u}) {
    causal->add_heads()->set_layer(1);
    causal->mutable_heads()->rbegin()->set_head(head);
  }
  EXPECT_EQ(FlagsToRepeat(spec, "org/m", {"it's"}),
            "--prompts RUN/prompts_org_m.jsonl --control_prompts RUN/control_prompts_org_m.jsonl "
            "--heads 1.2,1.5 --labels 'it'\\''s'");
  v1::JobSpec pattern;
  pattern.mutable_pattern()->mutable_profile()->set_model("m");
  pattern.mutable_pattern()->mutable_head()->set_layer(3);
  pattern.mutable_pattern()->set_prompt(7);
  EXPECT_EQ(FlagsToRepeat(pattern, "m", {"m"}), "--head 3.0 --prompt 7");
}

TEST(AnnotationsTest, TheCommandIsOneThatMakesTheKind) {
  v1::JobSpec spec;
  spec.mutable_cross_size();
  SetAnnotations("multisize", {}, &spec);
  EXPECT_EQ(CommandOf(spec), "multisize");
  for (const char* command : {"nulls", "", "evil", "../evil"}) {
    SetAnnotations(command, {}, &spec);
    EXPECT_EQ(CommandOf(spec), "crosssize") << command;
  }
}

}  // namespace
}  // namespace induct::client
