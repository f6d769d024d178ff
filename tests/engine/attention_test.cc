// The two ways of reading attention against each other.
#include "server/engine/attention.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/engine/test_models.h"

namespace induct::engine {
namespace {

constexpr int64_t kHeads = 6, kHeadSize = 24, kGroups = 4;

struct Batch {
  TestPrompts storage;
  std::vector<PassPrompt> prompts;
  std::vector<PackedPrompt> packed;
  int64_t n_tokens = 0;
};

// Fills `batch` in place: packed prompts point into it.
void Pack(const std::vector<int>& lengths, int n_targets, Batch& batch) {
  batch.storage = RandomPrompts(SmallSizes(), lengths, n_targets, kGroups, 1);
  batch.prompts = batch.storage.View();
  for (const PassPrompt& prompt : batch.prompts) {
    const auto length = static_cast<int64_t>(prompt.tokens.size());
    const auto number = static_cast<int64_t>(batch.packed.size());
    batch.packed.push_back({.prompt = &prompt, .number = number, .length = length});
    batch.n_tokens += length;
  }
  PlacePrompts(batch.packed);
}

// Views into one projection, strided as the decoder's are.
AttentionInput RandomInput(int64_t n_tokens, c10::ScalarType dtype, int64_t n_kv_heads = kHeads) {
  at::manual_seed(7);
  const at::Tensor projected =
      at::randn({n_tokens, kHeads + 2 * n_kv_heads, kHeadSize}).to(TestDevice(), dtype);
  return {.queries = projected.narrow(1, 0, kHeads),
          .keys = projected.narrow(1, kHeads, n_kv_heads),
          .values = projected.narrow(1, kHeads + n_kv_heads, n_kv_heads)};
}

// The same input with each key-value head written out for every query head that reads it.
AttentionInput WrittenOut(const AttentionInput& input) {
  const int64_t n_readers = kHeads / input.keys.size(1);
  return {.queries = input.queries,
          .keys = input.keys.repeat_interleave(n_readers, 1),
          .values = input.values.repeat_interleave(n_readers, 1)};
}

ReadoutSums Sums(std::span<const PackedPrompt> packed) {
  return ReadoutSums(packed, kGroups, kHeads, c10::Device(TestDevice()));
}

ReadoutSums Sums(std::span<const PackedPrompt> packed, Summing summing) {
  return ReadoutSums(packed, kGroups, kHeads, c10::Device(TestDevice()), summing);
}

void ExpectNear(const ReadoutSums& a, const ReadoutSums& b, double tolerance) {
  const std::vector<double> a_values = a.Values(), b_values = b.Values();
  ASSERT_EQ(a_values.size(), b_values.size());
  for (size_t i = 0; i < a_values.size(); ++i) EXPECT_NEAR(a_values[i], b_values[i], tolerance) << i;
}

TEST(AttentionTest, TargetsOfOnePairThatFollowOneAnotherGiveWhatTheyGiveApart) {
  Batch batch;
  Pack({33, 33, 33}, 500, batch);  // of the targets many are random repeats
  std::vector<std::vector<ReadoutTarget>> sorted;
  for (const PassPrompt& prompt : batch.prompts) {
    auto& targets = sorted.emplace_back(prompt.targets.begin(), prompt.targets.end());
    std::stable_sort(targets.begin(), targets.end(), [](const ReadoutTarget& a, const ReadoutTarget& b) {
      return std::pair(a.query, a.key) < std::pair(b.query, b.key);
    });
  }
  EXPECT_LT(CountPairs(sorted[0]), CountPairs(batch.prompts[0].targets)) << "nothing to share";
  const AttentionInput input = RandomInput(batch.n_tokens, at::kFloat);
  SetThreads(at::get_num_threads());  // without it the first parallel exp of a process is not exact
  for (const AttentionPath path : {AttentionPath::kLogSumExp, AttentionPath::kPattern}) {
    ReadoutSums apart = Sums(batch.packed);
    AttendEqualLengths(input, batch.packed, path, apart);
    std::vector<PassPrompt> prompts = batch.prompts;
    std::vector<PackedPrompt> packed = batch.packed;
    for (size_t i = 0; i < prompts.size(); ++i) {
      prompts[i].targets = sorted[i];
      packed[i].prompt = &prompts[i];
    }
    PlacePrompts(packed);
    ReadoutSums together = Sums(packed);
    AttendEqualLengths(input, packed, path, together);
    ExpectNear(apart, together, 1e-12);  // the order of a sum in double
  }
}

TEST(AttentionTest, BothWaysOfAddingUpGiveTheSameSums) {
  Batch batch;
  Pack({33, 20, 33}, 500, batch);
  std::reverse(batch.packed.begin(), batch.packed.end());  // places are not numbers
  PlacePrompts(batch.packed);
  const AttentionInput input = RandomInput(batch.n_tokens, at::kFloat);
  if (TestDevice() != "cpu") GTEST_SKIP() << "only a CPU can sum in both ways";
  ReadoutSums by_loop = Sums(batch.packed, Summing::kLoop),
              by_index_add = Sums(batch.packed, Summing::kIndexAdd);
  Attend(input, batch.packed, by_loop);
  Attend(input, batch.packed, by_index_add);
  ExpectNear(by_loop, by_index_add, 1e-12);
  EXPECT_NE(by_loop.Values().front(), 0);
  // What is cleared is read anew, and nothing else.
  const std::vector<double> before = by_index_add.Values();
  by_index_add.Clear(std::span(batch.packed).first(2));
  Attend({.queries = input.queries.narrow(0, 0, 53), .keys = input.keys.narrow(0, 0, 53)},
         std::span(batch.packed).first(2), by_index_add);
  EXPECT_THAT(by_index_add.Values(), testing::Pointwise(testing::DoubleNear(1e-12), before));
}

TEST(AttentionTest, SumsDoNotDependOnHowManyPairsAreReadAtATime) {
  Batch batch;
  Pack({33, 20, 33}, 500, batch);
  const auto read = [](const at::Tensor& query_rows, const at::Tensor& key_rows) {
    return (query_rows * 100 + key_rows).to(at::kFloat).unsqueeze(1).expand({-1, kHeads});
  };
  for (const Summing summing : {Summing::kLoop, Summing::kIndexAdd}) {
    if (TestDevice() != "cpu" && summing == Summing::kLoop) continue;
    ReadoutSums at_once = Sums(batch.packed, summing), in_parts = Sums(batch.packed, summing);
    at_once.Read(batch.packed, 1 << 20, read);
    in_parts.Read(batch.packed, 7, read);
    EXPECT_NE(at_once.Values().front(), 0);
    ExpectNear(at_once, in_parts, 1e-6);  // of sums of 1e6, in double
  }
}

TEST(AttentionTest, LogSumExpAndPatternGiveTheSameProbabilitiesAndOutputs) {
  for (const int length : {1, 2, 33, 64}) {
    Batch batch;
    Pack(std::vector<int>(5, length), 400, batch);
    const AttentionInput input = RandomInput(batch.n_tokens, at::kFloat);
    ReadoutSums by_log_sum_exp = Sums(batch.packed), by_pattern = Sums(batch.packed);
    const at::Tensor a = AttendEqualLengths(input, batch.packed, AttentionPath::kLogSumExp, by_log_sum_exp);
    const at::Tensor b = AttendEqualLengths(input, batch.packed, AttentionPath::kPattern, by_pattern);
    ExpectNear(by_log_sum_exp, by_pattern, 1e-4);  // sums of 100 weights of up to 2
    EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-5)) << "length " << length;
  }
}

TEST(AttentionTest, QueryHeadsShareKeyValueHeadsAsIfTheseWereWrittenOut) {
  for (const int64_t n_kv_heads : {1, 2, 3}) {
    Batch batch;
    Pack({33, 33, 33}, 100, batch);
    const AttentionInput input = RandomInput(batch.n_tokens, at::kFloat, n_kv_heads);
    for (const AttentionPath path : {AttentionPath::kLogSumExp, AttentionPath::kPattern}) {
      ReadoutSums shared = Sums(batch.packed), written_out = Sums(batch.packed);
      const at::Tensor a = AttendEqualLengths(input, batch.packed, path, shared);
      const at::Tensor b = AttendEqualLengths(WrittenOut(input), batch.packed, path, written_out);
      ExpectNear(shared, written_out, 1e-5);
      EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-5)) << n_kv_heads;
    }
  }
}

TEST(AttentionTest, SixteenBitInputsAreReadWithFloat32Scores) {
  Batch batch;
  Pack({40, 40}, 300, batch);
  const AttentionInput rounded = RandomInput(batch.n_tokens, at::kBFloat16);
  const AttentionInput exact = {.queries = rounded.queries.to(at::kFloat),
                                .keys = rounded.keys.to(at::kFloat)};
  ReadoutSums expected = Sums(batch.packed);
  AttendEqualLengths(exact, batch.packed, AttentionPath::kPattern, expected);
  for (const AttentionPath path : {AttentionPath::kLogSumExp, AttentionPath::kPattern}) {
    ReadoutSums sums = Sums(batch.packed);
    AttendEqualLengths(rounded, batch.packed, path, sums);
    ExpectNear(sums, expected, 2e-3);  // of sums of 10; bfloat16 scores would miss by 0.03
  }
}

TEST(AttentionTest, WithoutValuesThereAreProbabilitiesAndNoOutput) {
  Batch batch;
  Pack({30, 30, 41}, 10, batch);
  const AttentionInput input = RandomInput(batch.n_tokens, at::kFloat);
  ReadoutSums with_values = Sums(batch.packed), without_values = Sums(batch.packed);
  EXPECT_TRUE(Attend(input, batch.packed, with_values).defined());
  EXPECT_FALSE(
      Attend({.queries = input.queries, .keys = input.keys}, batch.packed, without_values).defined());
  ExpectNear(with_values, without_values, 0);
}

TEST(AttentionTest, ManyTargetsAreReadFromThePattern) {
  Batch few, many;
  Pack({60}, 30, few);
  Pack({60}, 600, many);
  const at::Tensor queries = RandomInput(60, at::kFloat).queries;
  EXPECT_EQ(ChoosePath(few.packed, queries), AttentionPath::kLogSumExp);
  EXPECT_EQ(ChoosePath(many.packed, queries), AttentionPath::kPattern);
}

}  // namespace
}  // namespace induct::engine
