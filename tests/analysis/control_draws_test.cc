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

// Different sets of heads of the model, none that of the top heads.
void ExpectValid(const ControlDraws& draws, const DrawOptions& options, size_t set_size) {
  HeadSet top(options.top_heads.begin(), options.top_heads.end());
  std::sort(top.begin(), top.end());
  EXPECT_EQ(std::set<HeadSet>(draws.sets.begin(), draws.sets.end()).size(), draws.sets.size());
  for (const HeadSet& set : draws.sets) {
    EXPECT_EQ(std::set<Head>(set.begin(), set.end()).size(), set_size);
    EXPECT_TRUE(std::is_sorted(set.begin(), set.end()));
    EXPECT_NE(set, top);
    for (const Head& head : set) {
      EXPECT_LT(head.layer, options.n_layers);
      EXPECT_LT(head.head, options.n_heads);
    }
  }
}

TEST(ControlDraws, AreDistinctSetsButForThatOfTheTopHeads) {
  const HeadSet top = {{5, 3}, {2, 1}, {5, 0}};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const DrawOptions options{.n_layers = 6, .n_heads = 8, .top_heads = top, .draws = 20, .seed = seed};
    const ControlDraws random = DrawRandomSets(options, 4), matched = DrawMatchedSets(options);
    ASSERT_EQ(random.sets.size(), 20u);
    ASSERT_EQ(matched.sets.size(), 20u);
    ExpectValid(random, options, 4);
    ExpectValid(matched, options, 3);
    for (const HeadSet& set : matched.sets) EXPECT_EQ(HeadsOfLayers(set), HeadsOfLayers(top));
    EXPECT_EQ(random.n_possible, 194580.0);                // 48 over 4
    EXPECT_EQ(matched.n_possible, 8.0 * (8 * 7 / 2) - 1);  // one of 8 in layer 2, two of 8 in layer 5
    EXPECT_THAT(random.reason, IsEmpty());
    EXPECT_THAT(matched.reason, IsEmpty());
  }
}

TEST(ControlDraws, WhereFewSetsExistAllAreTaken) {
  const HeadSet top = {{0, 0}, {1, 0}};
  const DrawOptions options{.n_layers = 2, .n_heads = 3, .top_heads = top, .draws = 20};
  const ControlDraws random = DrawRandomSets(options, 2), matched = DrawMatchedSets(options);
  EXPECT_EQ(random.sets.size(), 14u);  // 6 over 2, but for one
  EXPECT_EQ(matched.sets.size(), 8u);  // one of 3 in each layer, but for one
  EXPECT_EQ(random.n_possible, 14);
  EXPECT_EQ(matched.n_possible, 8);
  ExpectValid(random, options, 2);
  ExpectValid(matched, options, 2);
  EXPECT_EQ(random.reason, "20 different sets were asked for, 14 exist");
}

TEST(ControlDraws, NearlyAllSetsAreDrawnWithoutPreference) {
  const HeadSet top = {{0, 0}, {0, 3}};
  std::map<HeadSet, int> times;
  for (uint64_t seed = 0; seed < 600; ++seed) {
    const ControlDraws draws = DrawRandomSets({1, 5, top, /*draws=*/5, seed}, 2);  // 5 of 9
    EXPECT_EQ(draws.sets.size(), 5u);
    EXPECT_THAT(draws.reason, IsEmpty());
    for (const HeadSet& set : draws.sets) ++times[set];
  }
  EXPECT_EQ(times.size(), 9u);
  for (const auto& [set, n] : times) EXPECT_NEAR(n, 333, 61);  // 5 standard deviations
}

TEST(ControlDraws, RareDrawsAreUniformToo) {
  const HeadSet top = {{0, 1}};
  std::map<HeadSet, int> times;
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    ++times[DrawRandomSets({2, 3, top, /*draws=*/1, seed}, 2).sets.at(0)];
  }
  EXPECT_EQ(times.size(), 15u);  // 6 over 2
  for (const auto& [set, n] : times) EXPECT_NEAR(n, 80, 43);
}

TEST(ControlDraws, WhereNoSetExistsTheReasonSaysWhy) {
  const HeadSet top = {{0, 0}, {0, 1}, {0, 2}};
  const DrawOptions options{.n_layers = 2, .n_heads = 3, .top_heads = top};
  const ControlDraws random = DrawRandomSets(options, 7), matched = DrawMatchedSets(options);
  EXPECT_THAT(random.sets, IsEmpty());
  EXPECT_EQ(random.n_possible, 0);
  EXPECT_THAT(random.reason, HasSubstr("the model has 6 heads, so no set of 7 exists"));
  EXPECT_THAT(matched.sets, IsEmpty());
  EXPECT_EQ(matched.n_possible, 0);
  EXPECT_THAT(matched.reason, HasSubstr("the top heads are all heads of their layers"));
}

TEST(ControlDraws, PossibleSetsAreExactBelowTwoToThe53AndFiniteBeyond) {
  const HeadSet top = {{0, 0}};
  EXPECT_EQ(DrawRandomSets({1, 56, top, 1, 0}, 27).n_possible, 7384942649010080.0);  // 56 over 27
  EXPECT_NEAR(DrawRandomSets({1, 100, top, 1, 0}, 50).n_possible / 1.0089134454556419e29, 1, 1e-12);
  EXPECT_EQ(DrawRandomSets({48, 50, top, 1, 0}, 1200).n_possible, std::numeric_limits<double>::max());
}

TEST(ControlDraws, MoreSetsThanADoubleCanCountAreDrawnFrom) {
  HeadSet top;
  for (uint32_t layer = 0; layer < 40; ++layer) {
    for (uint32_t head = 0; head < 16; ++head) top.push_back({layer, head});
  }
  for (uint32_t head = 0; head < 40; ++head) top.push_back({79, head});
  const ControlDraws matched = DrawMatchedSets({80, 64, top, 20, 1});
  EXPECT_EQ(matched.n_possible, std::numeric_limits<double>::max());
  EXPECT_EQ(matched.sets.size(), 20u);
  EXPECT_THAT(matched.reason, IsEmpty());
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
