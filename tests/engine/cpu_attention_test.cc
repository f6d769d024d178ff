// The CPU's attention against plain loops in double.
#include "server/engine/cpu_attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace induct::engine {
namespace {

struct Heads {
  at::Tensor queries, keys, values;  // [S, H, K], [S, G, K], [S, G, K]
  double scale() const { return 1 / std::sqrt(static_cast<double>(queries.size(2))); }
};

// Views into one projection, strided as the decoder's are.
Heads RandomHeads(int64_t n_rows, int64_t d_head, c10::ScalarType dtype, int64_t n_heads = 4,
                  int64_t n_kv_heads = 4) {
  at::manual_seed(3);
  const at::Tensor projected = at::randn({n_rows, n_heads + 2 * n_kv_heads, d_head}).to(dtype);
  return {.queries = projected.narrow(1, 0, n_heads),
          .keys = projected.narrow(1, n_heads, n_kv_heads),
          .values = projected.narrow(1, n_heads + n_kv_heads, n_kv_heads)};
}

AttentionResult AttendTo(const Heads& heads, int64_t length) {
  return AttendOnCpu(heads.queries, heads.keys, heads.values, length, heads.scale());
}

double DotProduct(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) * b.to(at::kDouble)).sum().item<double>();
}

// One query of one head, one key after another.
struct PlainQuery {
  PlainQuery(const Heads& heads, int64_t length, int64_t row, int64_t head)
      : first_row(row / length * length), kv_head(head / (heads.queries.size(1) / heads.keys.size(1))) {
    for (int64_t key = first_row; key <= row; ++key) {
      scores.push_back(heads.scale() * DotProduct(heads.queries[row][head], heads.keys[key][kv_head]));
    }
    double sum = 0;
    for (const double score : scores) sum += std::exp(score);
    log_sum_exp = std::log(sum);
    output.resize(heads.values.size(2));
    for (size_t key = 0; key < scores.size(); ++key) {
      const at::Tensor value = heads.values[first_row + static_cast<int64_t>(key)][kv_head].to(at::kDouble);
      for (size_t i = 0; i < output.size(); ++i) {
        output[i] += Probability(key) * value[static_cast<int64_t>(i)].item<double>();
      }
    }
  }

  double Probability(size_t key) const { return std::exp(scores[key] - log_sum_exp); }

  int64_t first_row, kv_head;
  std::vector<double> scores, output;
  double log_sum_exp = 0;
};

void ExpectAsPlainLoops(const Heads& heads, int64_t length, double output_tolerance) {
  const AttentionResult result = AttendTo(heads, length);
  ASSERT_EQ(result.output.sizes(), heads.queries.sizes());
  ASSERT_EQ(result.output.scalar_type(), heads.queries.scalar_type());
  for (int64_t row = 0; row < heads.queries.size(0); ++row) {
    for (int64_t head = 0; head < heads.queries.size(1); ++head) {
      const PlainQuery expected(heads, length, row, head);
      ASSERT_NEAR(result.log_sum_exp[row][head].item<double>(), expected.log_sum_exp, 2e-6)
          << "row " << row << " head " << head;
      for (size_t i = 0; i < expected.output.size(); ++i) {
        ASSERT_NEAR(result.output[row][head][static_cast<int64_t>(i)].item<double>(), expected.output[i],
                    output_tolerance)
            << "row " << row << " head " << head;
      }
    }
  }
}

// Lengths and sizes below, at and beyond what a kernel of any width takes at a time.
TEST(CpuAttentionTest, IsThatOfPlainLoopsAtAnyLengthAndHeadSize) {
  for (const int64_t length : {1, 2, 7, 33}) {
    for (const int64_t d_head : {1, 7, 24, 33}) {
      SCOPED_TRACE(testing::Message() << length << " tokens, heads of " << d_head);
      ExpectAsPlainLoops(RandomHeads(2 * length, d_head, at::kFloat, /*n_heads=*/2, /*n_kv_heads=*/2), length,
                         2e-6);
    }
  }
}

TEST(CpuAttentionTest, QueryHeadsReadTheirKeyValueHead) {
  for (const int64_t n_kv_heads : {1, 2}) {
    SCOPED_TRACE(n_kv_heads);
    ExpectAsPlainLoops(RandomHeads(3 * 9, 16, at::kFloat, /*n_heads=*/4, n_kv_heads), 9, 2e-6);
  }
}

// Of 16-bit inputs only the output is rounded: to 8 and 11 bits.
TEST(CpuAttentionTest, SixteenBitInputsAreComputedWithInFloat32) {
  ExpectAsPlainLoops(RandomHeads(2 * 19, 24, at::kBFloat16), 19, 8e-3);
  ExpectAsPlainLoops(RandomHeads(2 * 19, 24, at::kHalf), 19, 1e-3);
}

// Where a query's scores are far apart, and their exponentials below the least number.
TEST(CpuAttentionTest, ScoresMayBeFarApart) {
  Heads heads = RandomHeads(40, 24, at::kFloat);
  heads.queries = heads.queries * 100;
  const AttentionResult result = AttendTo(heads, 40);
  for (int64_t row = 0; row < 40; ++row) {
    const PlainQuery expected(heads, 40, row, 1);
    EXPECT_NEAR(result.log_sum_exp[row][1].item<double>(), expected.log_sum_exp, 2e-4);  // of 500
    EXPECT_NEAR(result.output[row][1][3].item<double>(), expected.output[3], 1e-3);
  }
}

TEST(CpuAttentionTest, WhatIsNoNumberStaysSoAndInItsPrompt) {
  Heads heads = RandomHeads(3 * 20, 24, at::kFloat);
  heads.keys[25][2].fill_(std::numeric_limits<float>::quiet_NaN());  // token 5 of the second prompt
  const AttentionResult result = AttendTo(heads, 20);
  for (int64_t row = 0; row < 60; ++row) {
    const bool reads_it = row >= 25 && row < 40;
    EXPECT_EQ(result.log_sum_exp[row][2].isnan().item<bool>(), reads_it) << row;
    EXPECT_EQ(result.output[row][2].isnan().all().item<bool>(), reads_it) << row;
    EXPECT_FALSE(result.output[row][1].isnan().any().item<bool>()) << row;
  }
}

TEST(CpuAttentionTest, WithoutValuesTheLogSumExpIsTheSame) {
  const Heads heads = RandomHeads(2 * 37, 24, at::kFloat);
  const AttentionResult with = AttendTo(heads, 37),
                        without = AttendOnCpu(heads.queries, heads.keys, at::Tensor(), 37, heads.scale());
  EXPECT_TRUE(at::equal(with.log_sum_exp, without.log_sum_exp));
  EXPECT_FALSE(without.output.defined());
}

TEST(CpuAttentionTest, ResultsDoNotDependOnThreads) {
  const Heads heads = RandomHeads(3 * 37, 24, at::kFloat, /*n_heads=*/4, /*n_kv_heads=*/2);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const AttentionResult one = AttendTo(heads, 37);
  at::set_num_threads(5);  // parts of a key-value head's readers
  const AttentionResult five = AttendTo(heads, 37);
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one.output, five.output));
  EXPECT_TRUE(at::equal(one.log_sum_exp, five.log_sum_exp));
}

TEST(CpuAttentionTest, PairsAreReadAsTheyWereAttendedTo) {
  for (const c10::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const int64_t length = 30;
    const Heads heads = RandomHeads(3 * length, 25, dtype, /*n_heads=*/4, /*n_kv_heads=*/2);
    const at::Tensor log_sum_exp = AttendTo(heads, length).log_sum_exp;
    std::vector<int64_t> queries, keys;
    for (int64_t row = 0; row < 3 * length; ++row) {
      for (const int64_t back : {0, 1, 5}) {
        if (row % length < back) continue;
        queries.push_back(row);
        keys.push_back(row - back);
      }
    }
    const auto rows = [](std::vector<int64_t>& numbers) {
      return at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::kLong);
    };
    const at::Tensor read = PairProbabilitiesOnCpu(heads.queries, heads.keys, log_sum_exp, rows(queries),
                                                   rows(keys), heads.scale());
    ASSERT_EQ(read.sizes(), at::IntArrayRef({static_cast<int64_t>(queries.size()), 4}));
    for (size_t pair = 0; pair < queries.size(); ++pair) {
      for (int64_t head = 0; head < 4; ++head) {
        const PlainQuery query(heads, length, queries[pair], head);
        EXPECT_NEAR(read[static_cast<int64_t>(pair)][head].item<double>(),
                    query.Probability(static_cast<size_t>(keys[pair] - query.first_row)), 2e-6);
      }
    }
  }
}

}  // namespace
}  // namespace induct::engine
