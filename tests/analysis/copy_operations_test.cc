#include "server/analysis/copy_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "server/analysis/random.h"
#include "tests/analysis/plain_copy_operations.h"

namespace induct::analysis {

bool operator==(const CopyOperation& a, const CopyOperation& b) {
  return std::tie(a.query, a.lag, a.keys) == std::tie(b.query, b.lag, b.keys);
}
void PrintTo(const CopyOperation& operation, std::ostream* out) {
  *out << "query " << operation.query << " lag " << operation.lag << " keys "
       << testing::PrintToString(operation.keys);
}

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CopyOperation Operation(uint32_t query, uint32_t lag, std::vector<uint32_t> keys) {
  return {.query = query, .lag = lag, .keys = std::move(keys)};
}

const std::vector<int32_t> kThreeBlocks = {5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8};

TEST(FindCopyOperations, FirstCountsATokenThatComesBackForTheFirstTime) {
  EXPECT_THAT(
      FindCopyOperations(kThreeBlocks, 0, ScoreKind::kInduction, Antecedents::kFirst, 3),
      ElementsAre(Operation(4, 4, {1}), Operation(5, 4, {2}), Operation(6, 4, {3}), Operation(7, 4, {4})));
}

TEST(FindCopyOperations, NearestReadsTheLatestAntecedent) {
  const auto operations =
      FindCopyOperations(kThreeBlocks, 0, ScoreKind::kDuplicate, Antecedents::kNearest, 3);
  ASSERT_EQ(operations.size(), 8u);
  EXPECT_EQ(operations[4], Operation(8, 4, {4}));
}

TEST(FindCopyOperations, AllReadsEveryAntecedent) {
  const auto operations = FindCopyOperations(kThreeBlocks, 0, ScoreKind::kInduction, Antecedents::kAll, 3);
  ASSERT_EQ(operations.size(), 8u);
  EXPECT_EQ(operations[4], Operation(8, 4, {1, 5}));
}

TEST(FindCopyOperations, PreviousReadsThePositionBeforeEachNewToken) {
  const std::vector<int32_t> tokens = {1, 2, 2, 3, 1};
  EXPECT_THAT(FindCopyOperations(tokens, 0, ScoreKind::kPrevious, Antecedents::kFirst, 3),
              ElementsAre(Operation(1, 1, {0}), Operation(3, 1, {2})));
}

TEST(FindCopyOperations, TheBosIsNoQueryAntecedentOrTarget) {
  const std::vector<int32_t> tokens = {0, 9, 8, 0, 9, 0};
  EXPECT_THAT(FindCopyOperations(tokens, 1, ScoreKind::kDuplicate, Antecedents::kFirst, 1),
              ElementsAre(Operation(4, 3, {1}), Operation(5, 2, {3})));
  EXPECT_THAT(FindCopyOperations(tokens, 1, ScoreKind::kPrevious, Antecedents::kFirst, 1),
              ElementsAre(Operation(2, 1, {1}), Operation(3, 1, {2})));
}

TEST(FindCopyOperations, ShortLagsCountFromMinLagOn) {
  const std::vector<int32_t> lag_1 = {4, 4}, lag_2 = {4, 5, 4, 5};
  EXPECT_THAT(FindCopyOperations(lag_1, 0, ScoreKind::kDuplicate, Antecedents::kFirst, 1),
              ElementsAre(Operation(1, 1, {0})));
  EXPECT_THAT(FindCopyOperations(lag_1, 0, ScoreKind::kInduction, Antecedents::kFirst, 0), IsEmpty());
  EXPECT_THAT(FindCopyOperations(lag_1, 0, ScoreKind::kDuplicate, Antecedents::kFirst, 0),
              ElementsAre(Operation(1, 1, {0})));
  EXPECT_THAT(FindCopyOperations(lag_2, 0, ScoreKind::kInduction, Antecedents::kFirst, 2),
              ElementsAre(Operation(2, 2, {1}), Operation(3, 2, {2})));
  EXPECT_THAT(FindCopyOperations(lag_2, 0, ScoreKind::kDuplicate, Antecedents::kFirst, 3), IsEmpty());
}

TEST(FindCopyOperations, RowsTooShortHaveNone) {
  for (const ScoreKind kind : kScoreKinds) {
    EXPECT_THAT(FindCopyOperations({}, 0, kind, Antecedents::kAll, 1), IsEmpty());
    EXPECT_THAT(FindCopyOperations({}, 1, kind, Antecedents::kAll, 1), IsEmpty());
    EXPECT_THAT(FindCopyOperations(std::vector<int32_t>{3}, 1, kind, Antecedents::kAll, 1), IsEmpty());
  }
}

TEST(FindCopyOperations, AgreesWithTheDefinitionOnRandomRows) {
  Random random(7, "rows");
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int32_t> tokens(random.Below(40));
    const uint64_t n_ids = 1 + random.Below(12);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random.Below(n_ids));
    for (const ScoreKind kind : kScoreKinds) {
      for (const Antecedents antecedents : {Antecedents::kFirst, Antecedents::kNearest, Antecedents::kAll}) {
        const auto n_bos = static_cast<uint32_t>(random.Below(2)),
                   min_lag = static_cast<uint32_t>(random.Below(6));
        EXPECT_EQ(FindCopyOperations(tokens, n_bos, kind, antecedents, min_lag),
                  PlainCopyOperations(tokens, n_bos, kind, antecedents, min_lag))
            << testing::PrintToString(tokens) << " " << ScoreKindName(kind) << " "
            << AntecedentsName(antecedents);
      }
    }
  }
}

TEST(FindCopyOperations, IsLinearInTheRowsLength) {
  std::vector<int32_t> tokens(2'000'000, 1);  // a scan back from every position would take hours
  for (size_t i = 0; i < tokens.size(); i += 2) tokens[i] = static_cast<int32_t>(i);
  EXPECT_EQ(FindCopyOperations(tokens, 0, ScoreKind::kInduction, Antecedents::kNearest, 1).size(),
            tokens.size() / 2 - 1);
}

TEST(ScoreKind, NamesAreReadBack) {
  for (const ScoreKind kind : kScoreKinds) EXPECT_EQ(ParseScoreKind(ScoreKindName(kind)), kind);
  for (const Antecedents a : {Antecedents::kFirst, Antecedents::kNearest, Antecedents::kAll}) {
    EXPECT_EQ(ParseAntecedents(AntecedentsName(a)), a);
  }
  EXPECT_EQ(ParseScoreKind("Induction"), std::nullopt);
  EXPECT_EQ(ParseAntecedents(""), std::nullopt);
}

}  // namespace
}  // namespace induct::analysis
