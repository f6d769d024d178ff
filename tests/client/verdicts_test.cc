// What tests and intervals show, in words: never more than they do.
#include "client/verdicts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/example_runs.h"

namespace induct::client {
namespace {

using testing::HasSubstr;

v1::PairedDifference DifferenceWith(double ci_low, double ci_high, bool equivalent) {
  v1::PairedDifference difference;
  difference.set_difference((ci_low + ci_high) / 2);
  difference.set_ci_low(ci_low);
  difference.set_ci_high(ci_high);
  difference.set_equivalent(equivalent);
  return difference;
}

TEST(DifferenceVerdict, TellsADifferenceFromEquivalence) {
  EXPECT_EQ(DifferenceVerdict(DifferenceWith(0.01, 0.02, true), "one layer"),
            "differs, by less than one layer");
  EXPECT_EQ(DifferenceVerdict(DifferenceWith(-0.02, -0.01, false), "one layer"),
            "differs; not shown to be within one layer");
  EXPECT_EQ(DifferenceVerdict(DifferenceWith(-0.01, 0.02, true), "one layer"),
            "no difference shown; equivalent, within one layer");
  EXPECT_EQ(DifferenceVerdict(DifferenceWith(-0.4, 0.3, false), "one layer"),
            "neither a difference shown nor that it is within one layer");
  EXPECT_EQ(DifferenceVerdict(DifferenceWith(0, 0.3, false), "one layer"),
            "neither a difference shown nor that it is within one layer");
  EXPECT_EQ(DifferenceVerdict(v1::PairedDifference(), "one layer"), "");
}

TEST(HighestOfAll, CountsTheIntervalsThatLieAboveZero) {
  v1::AntecedentNull null;
  EXPECT_EQ(HighestOfAll(null), "");
  for (const double low : {-0.1, 0.0, 0.1, 0.2}) null.mutable_effect_ci_low()->add_values(low);
  EXPECT_EQ(
      HighestOfAll(null),
      "the highest of 4, its interval not adjusted for that; intervals of 2 heads lie above 0, where 1 in "
      "40 would by chance");
}

TEST(ControlVerdict, HarmIsSaidOfHarmOnly) {
  const SavedModel model = [] {
    SavedModel ablated = ExampleModel("m", 4, 4);
    ablated.results.Put(ExampleCausal(ablated));
    Mutable<v1::Causal>(&ablated)->mutable_top_k()->mutable_delta()->mutable_copy_nll()->set_value(-0.1);
    return ablated;
  }();
  const ControlVerdict verdict =
      VerdictOf(*model.Get<v1::Causal>(), model.Get<v1::Causal>()->random_k(), "random heads");
  EXPECT_THAT(verdict.copy_nll, HasSubstr("by copy NLL it leaves copying worse than each of the 20 sets"));
  EXPECT_TRUE(verdict.metrics_disagree);
}

}  // namespace
}  // namespace induct::client
