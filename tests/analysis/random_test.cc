#include "server/analysis/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace induct::analysis {
namespace {

TEST(Random, GivesThePublishedSplitMix64Sequences) {
  Random zero = Random::FromState(0);
  for (const uint64_t expected : {0xE220A8397B1DCDAFu, 0x6E789E6AA1B965F4u, 0x06C45D188009454Fu,
                                  0xF88BB8A8724C81ECu, 0x1B39896A51A8749Bu}) {
    EXPECT_EQ(zero.Next(), expected);
  }
  Random other = Random::FromState(1234567);
  for (const uint64_t expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u}) {
    EXPECT_EQ(other.Next(), expected);
  }
}

// Recorded from a Python program written after the header's comment.
TEST(Random, DerivesStreamsAsDocumented) {
  Random stream(123, "bootstrap", 7);
  EXPECT_EQ(stream.Next(), 0x04EC59EDC7347B54u);
  EXPECT_EQ(stream.Next(), 0x2073006B9D13FCCDu);
  EXPECT_EQ(stream.Next(), 0x851E3B9C2566B952u);

  Random digits(123, "bootstrap", 7);
  for (const uint64_t expected : {0, 1, 5, 2, 1, 0, 9, 9, 4, 7, 1, 1}) EXPECT_EQ(digits.Below(10), expected);
}

// With this bound a quarter of all draws must be rejected, so the recorded values differ where none is.
TEST(Random, BelowRejectsWhatWouldBeUneven) {
  Random stream(123, "big");
  const uint64_t bound = uint64_t{3} << 62;
  EXPECT_EQ(stream.Below(bound), 0x73B27E05189779E4u);
  EXPECT_EQ(stream.Below(bound), 0x23E1112A4A55C1B0u);
  EXPECT_EQ(stream.Below(bound), 0x29E94E1C1F8CCA45u);
}

TEST(Random, BelowIsUniform) {
  constexpr int kDraws = 60000, kBound = 6;
  std::array<int, kBound> counts = {};
  Random stream(1, "uniform");
  for (int i = 0; i < kDraws; ++i) ++counts[stream.Below(kBound)];
  for (const int count : counts) EXPECT_NEAR(count, kDraws / kBound, 5 * 92);  // 92 is one standard deviation
}

TEST(Random, BelowOneIsZero) {
  Random stream(1, "one");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(stream.Below(1), 0u);
}

TEST(Random, StreamsOfAnotherSeedPurposeOrIndexDiffer) {
  const uint64_t first = Random(1, "prompts", 0).Next();
  EXPECT_NE(Random(2, "prompts", 0).Next(), first);
  EXPECT_NE(Random(1, "bootstrap", 0).Next(), first);
  EXPECT_NE(Random(1, "prompts", 1).Next(), first);
  EXPECT_EQ(Random(1, "prompts", 0).Next(), first);
}

TEST(Random, ShuffleGivesEveryOrderEquallyOften) {
  std::array<int, 6> counts = {};
  Random stream(5, "shuffle");
  for (int i = 0; i < 60000; ++i) {
    std::vector<int> values = {0, 1, 2};
    stream.Shuffle(values);
    ASSERT_THAT(values, testing::UnorderedElementsAre(0, 1, 2));
    ++counts[values[0] * 2 + (values[1] > values[2])];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * 92);
}

}  // namespace
}  // namespace induct::analysis
