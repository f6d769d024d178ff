// What runs of every kind do with their models, seen by those who watch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/runs/causal_run.h"
#include "server/runs/cross_size_run.h"
#include "server/runs/pattern_run.h"
#include "server/runs/profile_run.h"
#include "tests/metrics/told.h"

namespace induct::runs {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Writes what is told of models and steps as text.
class TextEncoder : public RunEncoder {
 public:
  std::string Preparing(const models::PreparationStep& step) const override { return step.what; }
  std::string Started(const RunStarted& started) const override {
    std::string text = "started";
    for (const ModelUse& model : started.models)
      absl::StrAppend(&text, " ", model.source, model.streamed ? " streamed" : " resident");
    n_tokens = started.n_tokens;
    if (started.n_prompts != 2) absl::StrAppend(&text, ", ", started.n_prompts, " of 2 prompts");
    return text;
  }
  std::string LayerScores(const std::string& model, uint32_t,
                          const analysis::LayerScores& scores) const override {
    return absl::StrCat(model, " layer ", scores.layer);
  }
  std::string Progress(double, uint32_t, uint32_t) const override { return "progress"; }
  std::string Finished(const std::string& message, const jobs::JobRecord&,
                       const std::vector<std::string>& warnings) const override {
    std::string text = absl::StrCat("finished", message);
    for (const std::string& warning : warnings) absl::StrAppend(&text, "; ", warning);
    return text;
  }
  absl::StatusOr<EncodedResult> Profile(const std::string&, const analysis::ProfileResult&) const override {
    return EncodedResult{};
  }

  mutable uint64_t n_tokens = 0;  // of the last started event
};

// Of any kind's result.
constexpr auto kEncode = [](const std::string&, const auto&) -> absl::StatusOr<EncodedResult> {
  return EncodedResult{};
};

// A job without a scheduler; keeps its events.
class PlainContext : public jobs::JobContext {
 public:
  const std::string& job_name() const override { return name_; }
  uint32_t attempt() const override { return 1; }
  int device() const override { return 0; }
  std::stop_token stop() const override { return stop_.get_token(); }
  jobs::JobRecord record() const override { return {}; }
  absl::Status Emit(std::string payload) override {
    if (on_event) on_event(payload);
    events.push_back(std::move(payload));
    return absl::OkStatus();
  }
  void Show(int, std::string payload) override {
    if (on_event) on_event(payload);
    shown.push_back(std::move(payload));
  }
  absl::Status PutArtifact(const std::string&, const std::string&, std::string) override {
    return absl::OkStatus();
  }
  void Stop() { stop_.request_stop(); }

  std::vector<std::string> events, shown;
  std::function<void(const std::string&)> on_event;

 private:
  const std::string name_ = "jobs/TEST";
  std::stop_source stop_;
};

class ModelRunTest : public testing::Test {
 protected:
  explicit ModelRunTest(int64_t budget = 5'000'000)  // float32: demo-small takes 2.6 MB, demo-large 4.8 MB
      : registry_({.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}, .budgets = {{"cpu", budget}}}),
        environment_{.registry = &registry_, .encoder = &encoder_, .devices = {"cpu"}, .recorder = &told_} {}

  static RunRequest Request(const std::vector<std::string>& models) {
    return {.models = models,
            .prompts = {.task_types = {"ABAB"}, .lag_values = {8}, .n_sequences = 2},
            .options = {.bootstrap_resamples = 0}};
  }

  models::ModelHandle Hold(const std::string& model) {
    const auto files = registry_.Open(model).value();
    return registry_.Load(files, {}, models::WhenFull::kWait, {}, {}).value();
  }

  models::ModelRegistry registry_;
  TextEncoder encoder_;
  metrics::Told told_;
  const RunEnvironment environment_;
  PlainContext context_;
};

TEST_F(ModelRunTest, ALaterModelIsStreamedWhereOthersTakeItsRoomAndTheResultSaysSo) {
  const auto work = NewCrossSizeRun(Request({"demo-small", "demo-large"}), kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  const models::ModelHandle others = Hold("demo-small");
  const auto finished = work->Run(context_);
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_THAT(context_.events, Contains("started demo-small resident demo-large resident"));
  EXPECT_THAT(*finished, HasSubstr("the layers of demo-large were streamed"));
}

TEST_F(ModelRunTest, ALaterModelThatFindsRoomIsNotStreamed) {
  const auto work = NewCrossSizeRun(Request({"demo-small", "demo-large"}), kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  EXPECT_THAT(*work->Run(context_), testing::Not(HasSubstr("streamed")));
  EXPECT_THAT(context_.shown, testing::AllOf(Contains("opening demo-large"), Contains("loading demo-large")));
}

TEST_F(ModelRunTest, APatternMeasuresOnePromptOfAll) {
  const auto work = NewPatternRun(Request({"demo-small"}), {1, 2}, 1, kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  ASSERT_TRUE(work->Run(context_).ok());
  EXPECT_THAT(context_.events, Contains("started demo-small resident, 1 of 2 prompts"));
}

// Prompts, tokens and layers of all models, as the started event and the layer_scores events give them.
TEST_F(ModelRunTest, WhatARunMeasuresIsToldOnceWhenItHasEnded) {
  const auto work = NewCrossSizeRun(Request({"demo-small", "demo-large"}), kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  EXPECT_EQ(told_.sum("tokens"), 0);
  ASSERT_TRUE(work->Run(context_).ok());
  EXPECT_EQ(told_.sum("prompts"), 2 * 2);
  EXPECT_EQ(told_.sum("tokens"), encoder_.n_tokens);
  EXPECT_EQ(told_.sum("layers"), 4 + 8);
  EXPECT_EQ(told_.fraction(), 1);
  EXPECT_THAT(told_.lines(), testing::ElementsAre("model demo-small on 0", "model demo-large on 0"));
}

TEST_F(ModelRunTest, AnAblationTellsEachPromptOnceHoweverManyVariantsItHas) {
  RunRequest request = Request({"demo-small"});
  request.prompts.n_sequences = 3;  // an odd number, in two passes
  const auto work =
      NewCausalRun(request, {.top_k = 1, .random_k = 1, .random_draws = 5}, {}, kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  ASSERT_TRUE(work->Run(context_).ok());
  EXPECT_EQ(told_.sum("prompts"), 3);
  EXPECT_EQ(told_.sum("tokens"), encoder_.n_tokens);
}

class SmallBudgetTest : public ModelRunTest {
 protected:
  SmallBudgetTest() : ModelRunTest(3'000'000) {}
};

TEST_F(SmallBudgetTest, ModelsBeyondTheBudgetAreToldAtTheStart) {
  const auto work = NewCrossSizeRun(Request({"demo-small", "demo-large"}), kEncode, environment_);
  ASSERT_TRUE(work->Prepare(context_).ok());
  EXPECT_THAT(*work->Run(context_), testing::Not(HasSubstr("were streamed")));
  EXPECT_THAT(context_.events, Contains("started demo-small resident demo-large streamed"));
}

TEST_F(ModelRunTest, AJobThatWaitsForRoomEndsWhenItIsCancelled) {
  const models::ModelHandle others = Hold("demo-large");
  const auto work = NewProfileRun(Request({"demo-small"}), environment_);
  context_.on_event = [this](const std::string& event) {
    if (absl::StrContains(event, "waiting")) context_.Stop();
  };
  EXPECT_TRUE(absl::IsCancelled(work->Prepare(context_)));
}

}  // namespace
}  // namespace induct::runs
