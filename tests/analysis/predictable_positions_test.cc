#include "server/analysis/predictable_positions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace induct::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// How often the pair that ends at t stands before, by comparing it with every one.
uint32_t TimesBefore(const std::vector<int32_t>& row, uint32_t n_bos, uint32_t t) {
  uint32_t times = 0;
  for (uint32_t s = n_bos + 1; s < t; ++s) times += row[s - 1] == row[t - 1] && row[s] == row[t] ? 1 : 0;
  return times;
}

TEST(PredictablePositions, AreThoseWhosePairStoodBefore) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<int32_t> row(1 + random() % 40);
    for (int32_t& token : row) token = static_cast<int32_t>(random() % 4);
    for (const uint32_t n_bos : {0u, 1u}) {
      std::vector<uint32_t> once, any;
      for (uint32_t t = n_bos + 1; t < row.size(); ++t) {
        const uint32_t times = TimesBefore(row, n_bos, t);
        if (times == 1) once.push_back(t);
        if (times >= 1) any.push_back(t);
      }
      EXPECT_EQ(PredictablePositions(row, n_bos, Antecedents::kFirst), once);
      EXPECT_EQ(PredictablePositions(row, n_bos, Antecedents::kNearest), any);
      EXPECT_EQ(PredictablePositions(row, n_bos, Antecedents::kAll), any);
    }
  }
}

TEST(PredictablePositions, OfABlockThatComesBackThreeTimes) {
  const std::vector<int32_t> row = {0, 5, 6, 7, 5, 6, 7, 5, 6, 7};
  EXPECT_THAT(PredictablePositions(row, 1, Antecedents::kFirst), ElementsAre(5, 6, 7));
  EXPECT_THAT(PredictablePositions(row, 1, Antecedents::kAll), ElementsAre(5, 6, 7, 8, 9));
}

TEST(PredictablePositions, NoPairBeginsInTheBos) {
  const std::vector<int32_t> row = {5, 6, 5, 6};
  EXPECT_THAT(PredictablePositions(row, 0, Antecedents::kFirst), ElementsAre(3));
  EXPECT_THAT(PredictablePositions(row, 1, Antecedents::kFirst), IsEmpty());
}

TEST(PredictablePositions, LagOneCounts) {  // min_lag is about attention, not about this
  const std::vector<int32_t> row = {5, 5, 5};
  EXPECT_THAT(PredictablePositions(row, 0, Antecedents::kFirst), ElementsAre(2));
}

}  // namespace
}  // namespace induct::analysis
