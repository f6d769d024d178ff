#include "server/analysis/interval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace induct::analysis {
namespace {

// Recorded from scipy.stats.t.ppf(0.975, df) and (0.95, df).
TEST(StudentQuantile, IsThatOfTheTables) {
  struct Row {
    uint64_t degrees_of_freedom;
    double of95, of90;
  };
  for (const Row& row :
       {Row{1, 12.706204736174694, 6.313751514675037}, Row{2, 4.302652729749462, 2.9199855803537242},
        Row{3, 3.1824463052837078, 2.3533634348018233}, Row{12, 2.1788128296672284, 1.782287555649319},
        Row{19, 2.0930240544083087, 1.7291328115213682}, Row{58, 2.0017174841452356, 1.6715527624548587},
        Row{999, 1.9623414611334493, 1.646380345427535}}) {
    EXPECT_NEAR(StudentQuantile(row.degrees_of_freedom, 0.95), row.of95, 1e-12 * row.of95)
        << row.degrees_of_freedom;
    EXPECT_NEAR(StudentQuantile(row.degrees_of_freedom, 0.90), row.of90, 1e-12 * row.of90)
        << row.degrees_of_freedom;
  }
  EXPECT_NEAR(StudentQuantile(100'000, 0.95), 1.95996, 3e-5);
}

Strata StrataOf(uint32_t n_prompts, uint32_t count) {
  Strata strata{.count = count};
  for (uint32_t i = 0; i < n_prompts; ++i) strata.of_prompt.push_back(i % count);
  return strata;
}

TEST(TailShare, IsSmallerWithFewPromptsAndWithManyHalfOfWhatIsLeft) {
  EXPECT_NEAR(TailShare(StrataOf(100'000, 8)), 0.025, 1e-5);
  EXPECT_NEAR(TailShare(StrataOf(100'000, 8), 0.90), 0.05, 1e-5);
  EXPECT_NEAR(TailShare(StrataOf(20, 8)), 0.01467, 1e-5);  // 12 degrees of freedom
  EXPECT_NEAR(TailShare(StrataOf(2, 1)), 0, 1e-12);
}

TEST(IntervalOf, ItsEndsLieAsFarFromBothEndsOfTheValues) {
  const Interval interval = IntervalOf({5, 1, 4, 2, 3}, 0.25);
  EXPECT_DOUBLE_EQ(interval.low, 2);
  EXPECT_DOUBLE_EQ(interval.high, 4);
  const Estimate estimate = EstimateOf({5, 1, 3}, 0);
  EXPECT_DOUBLE_EQ(estimate.mean, 3);
  EXPECT_DOUBLE_EQ(estimate.interval.high, 5);
}

TEST(CurveIntervals, AreThoseOfEachLayer) {
  const std::vector<double> curves = {1, 10, 3, 30, 2, 20};
  const std::vector<Interval> intervals = CurveIntervals(curves, 2, 0);
  ASSERT_EQ(intervals.size(), 2u);
  EXPECT_DOUBLE_EQ(intervals[0].high, 3);
  EXPECT_DOUBLE_EQ(intervals[1].low, 10);
}

// Recorded from numpy.quantile.
TEST(SortedQuantile, InterpolatesLinearly) {
  const std::vector<double> sorted = {1, 1.5, 2.6, 3, 4, 5, 9};
  EXPECT_DOUBLE_EQ(SortedQuantile(sorted, 0), 1);
  EXPECT_DOUBLE_EQ(SortedQuantile(sorted, 0.025), 1.075);
  EXPECT_DOUBLE_EQ(SortedQuantile(sorted, 0.5), 3);
  EXPECT_DOUBLE_EQ(SortedQuantile(sorted, 0.975), 8.4);
  EXPECT_DOUBLE_EQ(SortedQuantile(sorted, 1), 9);
  EXPECT_DOUBLE_EQ(SortedQuantile(std::vector<double>{2}, 0.975), 2);
}

}  // namespace
}  // namespace induct::analysis
