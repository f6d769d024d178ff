// What standard error tells of a job, event by event.
#include "client/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace induct::client {
namespace {

using testing::HasSubstr;
using testing::Not;

// What `events` make of standard error.
std::string Shown(ProgressStyle style, const std::vector<v1::JobEvent>& events, bool scores_layers = true) {
  char* text = nullptr;
  size_t size = 0;
  FILE* const out = open_memstream(&text, &size);
  {
    Progress progress(style, out, scores_layers);
    for (const v1::JobEvent& event : events) progress.Show(event);
  }
  fclose(out);
  const std::string shown(text, size);
  std::free(text);
  return shown;
}

v1::JobEvent Started(const std::vector<std::pair<std::string, uint32_t>>& models) {
  v1::JobEvent event;
  event.set_attempt(1);
  for (const auto& [name, n_layers] : models) {
    v1::ModelUse* use = event.mutable_started()->add_models();
    use->set_name(name);
    use->set_source(name);
    use->set_n_layers(n_layers);
  }
  return event;
}

v1::JobEvent Scores(const std::string& model, uint32_t layer, double best) {
  v1::JobEvent event;
  event.set_attempt(1);
  event.mutable_layer_scores()->set_model(model);
  event.mutable_layer_scores()->set_layer(layer);
  event.mutable_layer_scores()->add_kinds()->set_kind("induction");
  event.mutable_layer_scores()->mutable_kinds(0)->add_scores(best);
  return event;
}

v1::JobEvent Fraction(double fraction) {
  v1::JobEvent event;
  event.set_attempt(1);
  event.mutable_progress()->set_fraction(fraction);
  return event;
}

v1::JobEvent Finished() {
  v1::JobEvent event;
  event.set_attempt(1);
  event.mutable_finished();
  return event;
}

TEST(ProgressTest, LayersOfSeveralModelsStandOneAfterAnother) {
  const std::vector<v1::JobEvent> events = {Started({{"a", 1}, {"b", 2}}), Scores("a", 0, 0.2),
                                            Scores("b", 0, 0.3), Scores("b", 1, 0.9), Finished()};
  const std::string lines = Shown(ProgressStyle::kLines, events);
  EXPECT_THAT(lines, HasSubstr("a layer 0 done (1 of 3)  ["));
  EXPECT_THAT(lines, HasSubstr("b layer 1 done (3 of 3)  ["));
  EXPECT_THAT(Shown(ProgressStyle::kTerminal, events), HasSubstr("layer 3/3  best b L1H0 0.90"));
}

TEST(ProgressTest, OneModelIsNotNamedInEveryLine) {
  const std::string lines = Shown(ProgressStyle::kLines, {Started({{"a", 1}}), Scores("a", 0, 0.2)});
  EXPECT_THAT(lines, HasSubstr("\nlayer 0 done (1 of 1)"));
}

TEST(ProgressTest, TheServerSaysHowFarAJobIsThatRunsOnAfterItsLayers) {
  const std::vector<v1::JobEvent> events = {Started({{"a", 1}}), Fraction(0.25), Scores("a", 0, 0.5)};
  EXPECT_THAT(Shown(ProgressStyle::kTerminal, events), Not(HasSubstr("100 %")));
  std::vector<v1::JobEvent> to_the_end = events;
  to_the_end.push_back(Finished());
  EXPECT_THAT(Shown(ProgressStyle::kTerminal, to_the_end), HasSubstr("100 %"));
}

TEST(ProgressTest, AJobThatScoresNoLayersHasABarThatEndsFull) {
  const std::vector<v1::JobEvent> events = {Started({{"a", 8}}), Fraction(0.25), Finished()};
  const std::string shown = Shown(ProgressStyle::kTerminal, events, /*scores_layers=*/false);
  EXPECT_THAT(shown, HasSubstr("\rreading attention  100 %"));
  EXPECT_THAT(shown, Not(HasSubstr("layer ")));
}

TEST(ProgressTest, NumbersOfLayersThatCannotBeAreIgnored) {
  EXPECT_THAT(
      Shown(ProgressStyle::kLines, {Started({{"a", 4'000'000'000u}}), Scores("a", 4'000'000'000u, 0.5)}),
      Not(HasSubstr("done")));
}

v1::JobEvent Step(const std::string& step, double fraction) {
  v1::JobEvent event;
  event.set_attempt(1);
  event.mutable_preparing()->set_step(step);
  if (fraction >= 0) event.mutable_preparing()->set_fraction(fraction);
  return event;
}

TEST(ProgressTest, PlainLinesTellOfEachStepAndOfEachTenthOfIt) {
  EXPECT_EQ(Shown(ProgressStyle::kLines,
                  {Step("opening m", -1), Step("opening m", -1), Step("downloading a", 0),
                   Step("downloading a", 0.05), Step("downloading a", 0.43), Step("downloading a", 0.44),
                   Step("downloading a", 1), Step("downloading b", 0.02), Step("downloading b", 0.51)}),
            "opening m\ndownloading a\ndownloading a 40 %\ndownloading a 100 %\ndownloading b\n"
            "downloading b 50 %\n");
}

TEST(ProgressTest, ATerminalsLineFollowsEveryPercentOfAStep) {
  const std::string shown =
      Shown(ProgressStyle::kTerminal, {Step("downloading a\x1b[2J", 0.43), Step("downloading a", 0.44)});
  EXPECT_THAT(shown, HasSubstr("\rdownloading a\\x1b[2J   43 %"));
  EXPECT_THAT(shown, HasSubstr("\rdownloading a   44 %"));
}

TEST(ProgressTest, QuietSaysNothing) {
  EXPECT_EQ(Shown(ProgressStyle::kQuiet, {Started({{"a", 1}}), Scores("a", 0, 0.2), Finished()}), "");
}

}  // namespace
}  // namespace induct::client
