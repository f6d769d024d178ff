#include "server/analysis/control_draws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace induct::analysis {
namespace {

using engine::Head;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using HeadSet = std::vector<Head>;

std::map<uint32_t, int> HeadsOfLayers(const HeadSet& heads) {
  std::map<uint32_t, int> counts;
  for (const Head& head : heads) ++counts[head.layer];
  return counts;
}

// Different sets of heads of the model, none a top head.
void ExpectValid(const ControlDraws& draws, const DrawOptions& options, size_t set_size) {
  EXPECT_EQ(std::set<HeadSet>(draws.sets.begin(), draws.sets.end()).size(), draws.sets.size());
  for (const HeadSet& set : draws.sets) {
    EXPECT_EQ(std::set<Head>(set.begin(), set.end()).size(), set_size);
    EXPECT_TRUE(std::is_sorted(set.begin(), set.end()));
    for (const Head& head : set) {
      EXPECT_LT(head.layer, options.n_layers);
      EXPECT_LT(head.head, options.n_heads);
      EXPECT_EQ(std::count(options.top_heads.begin(), options.top_heads.end(), head), 0);
    }
  }
}

TEST(ControlDraws, AreDistinctSetsWithoutATopHead) {
  const HeadSet top = {{5, 3}, {2, 1}, {5, 0}};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const DrawOptions options{.n_layers = 6, .n_heads = 8, .top_heads = top, .draws = 20, .seed = seed};
    const ControlDraws random = DrawRandomSets(options, 4), matched = DrawMatchedSets(options);
    ASSERT_EQ(random.sets.size(), 20u);
    ASSERT_EQ(matched.sets.size(), 20u);
    ExpectValid(random, options, 4);
    ExpectValid(matched, options, 3);
    for (const HeadSet& set : matched.sets) EXPECT_EQ(HeadsOfLayers(set), HeadsOfLayers(top));
    EXPECT_EQ(random.n_possible, 148995.0);            // 45 over 4
    EXPECT_EQ(matched.n_possible, 7.0 * (6 * 5 / 2));  // one of 7 in layer 2, two of 6 in layer 5
    EXPECT_THAT(random.reason, IsEmpty());
    EXPECT_THAT(matched.reason, IsEmpty());
  }
}

TEST(ControlDraws, WhereFewSetsExistAllAreTaken) {
  const HeadSet top = {{0, 0}, {1, 0}};
  const DrawOptions options{.n_layers = 2, .n_heads = 3, .top_heads = top, .draws = 20};
  const ControlDraws random = DrawRandomSets(options, 2), matched = DrawMatchedSets(options);
  EXPECT_EQ(random.sets.size(), 6u);   // 4 over 2
  EXPECT_EQ(matched.sets.size(), 4u);  // one of 2 in each layer
  EXPECT_EQ(random.n_possible, 6);
  EXPECT_EQ(matched.n_possible, 4);
  ExpectValid(random, options, 2);
  ExpectValid(matched, options, 2);
  EXPECT_EQ(random.reason, "20 different sets were asked for, 6 exist");
}

TEST(ControlDraws, NearlyAllSetsAreDrawnWithoutPreference) {
  const HeadSet top = {{0, 0}};
  std::map<HeadSet, int> times;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const ControlDraws draws = DrawRandomSets({1, 5, top, /*draws=*/4, seed}, 2);  // 4 of 6
    EXPECT_EQ(draws.sets.size(), 4u);
    EXPECT_THAT(draws.reason, IsEmpty());
    for (const HeadSet& set : draws.sets) ++times[set];
  }
  EXPECT_EQ(times.size(), 6u);
  for (const auto& [set, n] : times) EXPECT_NEAR(n, 400, 58);  // 5 standard deviations
}

TEST(ControlDraws, RareDrawsAreUniformToo) {
  const HeadSet top = {{0, 1}};
  std::map<HeadSet, int> times;
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    ++times[DrawRandomSets({2, 3, top, /*draws=*/1, seed}, 2).sets.at(0)];
  }
  EXPECT_EQ(times.size(), 10u);  // 5 over 2
  for (const auto& [set, n] : times) EXPECT_NEAR(n, 120, 52);
}

TEST(ControlDraws, WhereNoSetExistsTheReasonSaysWhy) {
  const HeadSet top = {{0, 0}, {0, 1}};
  const DrawOptions options{.n_layers = 2, .n_heads = 3, .top_heads = top};
  const ControlDraws random = DrawRandomSets(options, 5), matched = DrawMatchedSets(options);
  EXPECT_THAT(random.sets, IsEmpty());
  EXPECT_EQ(random.n_possible, 0);
  EXPECT_THAT(random.reason, HasSubstr("4 heads besides the top heads, so no set of 5 exists"));
  EXPECT_THAT(matched.sets, IsEmpty());
  EXPECT_EQ(matched.n_possible, 0);
  EXPECT_THAT(matched.reason, HasSubstr("layer 0 has 2 top heads among its 3"));
}

TEST(ControlDraws, PossibleSetsAreExactBelowTwoToThe53AndFiniteBeyond) {
  const HeadSet top = {{0, 0}};
  EXPECT_EQ(DrawRandomSets({1, 57, top, 1, 0}, 27).n_possible, 7384942649010080.0);  // 56 over 27
  EXPECT_NEAR(DrawRandomSets({1, 101, top, 1, 0}, 50).n_possible / 1.0089134454556419e29, 1, 1e-12);
  EXPECT_EQ(DrawRandomSets({48, 50, top, 1, 0}, 1200).n_possible, std::numeric_limits<double>::max());
}

TEST(ControlDraws, ALayerWithoutEnoughHeadsLeavesNoSetHoweverManyTheOthersOffer) {
  HeadSet top;
  for (uint32_t layer = 0; layer < 40; ++layer) {
    for (uint32_t head = 0; head < 16; ++head) top.push_back({layer, head});
  }
  for (uint32_t head = 0; head < 40; ++head) top.push_back({79, head});
  const ControlDraws matched = DrawMatchedSets({80, 64, top, 20, 1});
  EXPECT_EQ(matched.n_possible, 0);
  EXPECT_THAT(matched.sets, testing::IsEmpty());
  EXPECT_THAT(matched.reason, HasSubstr("layer 79 has 40 top heads among its 64"));
}

TEST(ControlDraws, DependOnTheSeedAloneAndOnTheControl) {
  const HeadSet top = {{1, 0}};
  const DrawOptions options{.n_layers = 2, .n_heads = 40, .top_heads = top, .seed = 3},
      other{2, 40, top, 20, 4};
  EXPECT_EQ(DrawRandomSets(options, 3).sets, DrawRandomSets(options, 3).sets);
  EXPECT_NE(DrawRandomSets(options, 3).sets, DrawRandomSets(other, 3).sets);
  EXPECT_NE(DrawMatchedSets(options).sets, DrawMatchedSets(other).sets);
}

}  // namespace
}  // namespace induct::analysis
