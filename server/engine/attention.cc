#include "server/engine/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_scaled_dot_product_efficient_attention.h>
#include <ATen/ops/_scaled_dot_product_flash_attention.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/take.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "server/engine/cpu_attention.h"
#include "server/engine/cuda_driver.h"
#include "server/engine/fused_kernels.h"

namespace induct::engine {
namespace {

// Values gathered in one read.
constexpr int64_t kGatheredValues = int64_t{1} << 25;
// Probabilities that patterns of several prompts may take together.
constexpr int64_t kPatternValues = int64_t{1} << 24;
// Reading one probability from queries and keys costs about as much as this many entries of a pattern.
constexpr int64_t kPatternEntriesPerReadCpu = 8;
constexpr int64_t kPatternEntriesPerRead = 64;

// A row range of each input.
AttentionInput Rows(const AttentionInput& input, int64_t first, int64_t count) {
  return {.queries = input.queries.narrow(0, first, count),
          .keys = input.keys.narrow(0, first, count),
          .values = input.values.defined() ? input.values.narrow(0, first, count) : at::Tensor()};
}

// [B * T, H, K] as [B, H, T, K], without a copy.
at::Tensor ByHead(const at::Tensor& rows, int64_t n_prompts) {
  return rows.unflatten(0, {n_prompts, -1}).transpose(1, 2);
}

// [B, H, T, ...] as [B * T, H, ...]; no copy where it lies in memory as [B, T, H, ...].
at::Tensor ByRow(const at::Tensor& heads) { return heads.transpose(1, 2).flatten(0, 1); }

double ScoreScale(const AttentionInput& input) { return 1.0 / std::sqrt(input.queries.size(2)); }

// [S, G, K] as [S, H, K], each head repeated for the query heads that read it; no copy where G is H.
at::Tensor ForEachQueryHead(const at::Tensor& rows, int64_t n_heads) {
  const int64_t n_readers = n_heads / rows.size(1);
  if (n_readers == 1) return rows;
  return rows.unsqueeze(2).expand({-1, -1, n_readers, -1}).flatten(1, 2);
}

// The dot products [M, H] of [M, H, K] with the [M, G, K] that they read.
at::Tensor HeadProducts(const at::Tensor& queries, const at::Tensor& keys) {
  return (queries.unflatten(1, {keys.size(1), -1}) * keys.unsqueeze(2)).sum(-1).flatten(1);
}

// From Ampere on.
bool IsRecent(c10::Device device) {
  const std::optional<CudaDevice> cuda = DescribeCudaDevice(device.index());
  return cuda && cuda->compute_capability >= 8;
}

// LibTorch's two kernels for CUDA. The fast one takes 16-bit numbers, and heads of a multiple of 8 dimensions
// up to 256, on recent devices; the other one heads of a multiple of 8 in 16 bits, of 4 in float32, and
// bfloat16 on recent devices.
bool HasFlashAttention(const at::Tensor& queries) {
  const int64_t d_head = queries.size(-1);
  return queries.scalar_type() != at::kFloat && d_head % 8 == 0 && d_head <= 256 &&
         IsRecent(queries.device());
}

bool HasFusedAttention(const at::Tensor& queries) {
  if (queries.is_cpu()) return true;
  if (queries.size(-1) % (queries.scalar_type() == at::kFloat ? 4 : 8) != 0) return false;
  return queries.scalar_type() != at::kBFloat16 || IsRecent(queries.device());
}

// As AttendOnCpu.
AttentionResult AttendOnCuda(const AttentionInput& input, int64_t n_prompts, double scale) {
  // The kernels want values. Where nobody reads their output, the keys stand in for them: half their work is
  // then in vain, and it still takes half the time of forming the scores.
  const int64_t n_heads = input.queries.size(1);
  const at::Tensor all_keys = ForEachQueryHead(input.keys, n_heads);
  const at::Tensor all_values = input.values.defined() ? ForEachQueryHead(input.values, n_heads) : all_keys;
  const at::Tensor queries = ByHead(input.queries, n_prompts), keys = ByHead(all_keys, n_prompts),
                   values = ByHead(all_values, n_prompts);
  const auto in_rows = [&](const at::Tensor& output, const at::Tensor& log_sum_exp) -> AttentionResult {
    return {.output = input.values.defined() ? ByRow(output) : at::Tensor(),
            .log_sum_exp = ByRow(log_sum_exp).contiguous()};
  };
  if (HasFlashAttention(queries)) {
    const auto result =
        at::_scaled_dot_product_flash_attention(queries, keys, values, /*dropout_p=*/0.0, /*is_causal=*/true,
                                                /*return_debug_mask=*/false, scale);
    return in_rows(std::get<0>(result), std::get<1>(result));
  }
  const auto result =
      at::_scaled_dot_product_efficient_attention(queries, keys, values, /*attn_bias=*/{},
                                                  /*compute_log_sumexp=*/true,
                                                  /*dropout_p=*/0.0, /*is_causal=*/true, scale);
  // The log-sum-exp has queries beyond the last one, up to a multiple of 32.
  return in_rows(std::get<0>(result), std::get<1>(result).narrow(2, 0, queries.size(2)));
}

at::Tensor AttendByLogSumExp(const AttentionInput& input, std::span<const PackedPrompt> prompts,
                             ReadoutSums& sums) {
  const double scale = ScoreScale(input);
  const auto [output, log_sum_exp] =
      input.queries.is_cpu()
          ? AttendOnCpu(input.queries, input.keys, input.values, prompts.front().length, scale)
          : AttendOnCuda(input, static_cast<int64_t>(prompts.size()), scale);

  const auto read = [&](const at::Tensor& query_rows, const at::Tensor& key_rows) {
    if (input.queries.is_cpu()) {
      return PairProbabilitiesOnCpu(input.queries, input.keys, log_sum_exp, query_rows, key_rows, scale);
    }
    if (HasFusedKernels(input.queries)) {
      return FusedPairProbabilities(input.queries, input.keys, log_sum_exp, query_rows, key_rows, scale);
    }
    const at::Tensor queries = input.queries.index_select(0, query_rows).to(at::kFloat);  // [M, H, K]
    const at::Tensor keys = input.keys.index_select(0, key_rows).to(at::kFloat);          // [M, G, K]
    return (HeadProducts(queries, keys) * scale - log_sum_exp.index_select(0, query_rows)).exp();
  };
  const int64_t values_per_target = input.queries.size(1) * input.queries.size(2);
  sums.Read(prompts, std::max<int64_t>(1, kGatheredValues / values_per_target), read);
  return input.values.defined() ? output.flatten(1) : at::Tensor();
}

// The product of every query head's matrix in [B, H, T, M] with that of the key-value head that it reads in
// [B, G, M, N]: [B, H, T, N]. Query heads of one key-value head are rows of one product.
at::Tensor ProductByHead(const at::Tensor& by_query_head, const at::Tensor& by_kv_head) {
  const int64_t n_prompts = by_query_head.size(0), n_kv_heads = by_kv_head.size(1);
  const at::Tensor rows = by_query_head.reshape({n_prompts, n_kv_heads, -1, by_query_head.size(3)});
  return at::matmul(rows, by_kv_head)
      .view({n_prompts, by_query_head.size(1), by_query_head.size(2), by_kv_head.size(3)});
}

// queries: [B, H, T, K], keys: [B, G, T, K]; returns [B, H, T, T] float32.
at::Tensor Pattern(const at::Tensor& queries, const at::Tensor& keys, double scale) {
  const int64_t length = queries.size(2);
  at::Tensor scores = ProductByHead(queries.to(at::kFloat), keys.to(at::kFloat).transpose(2, 3)).mul_(scale);
  const at::Tensor later = at::ones({length, length}, scores.options().dtype(at::kBool)).triu_(1);
  scores.masked_fill_(later, -std::numeric_limits<float>::infinity());
  return at::softmax(scores, -1);
}

at::Tensor AttendByPattern(const AttentionInput& input, std::span<const PackedPrompt> prompts,
                           ReadoutSums& sums) {
  const auto n_prompts = static_cast<int64_t>(prompts.size());
  const int64_t n_heads = input.queries.size(1);
  const int64_t length = prompts.front().length;
  const at::Tensor pattern =
      Pattern(ByHead(input.queries, n_prompts), ByHead(input.keys, n_prompts), ScoreScale(input));

  const at::Tensor heads =
      at::arange(n_heads, pattern.options().dtype(at::kLong)) * (length * length);  // [H]
  const auto read = [&](const at::Tensor& query_rows, const at::Tensor& key_rows) {
    const at::Tensor prompt = query_rows.div(length, "floor");
    const at::Tensor query = query_rows - prompt * length;
    const at::Tensor key = key_rows - prompt * length;
    const at::Tensor first_head = (prompt * (n_heads * length) + query) * length + key;  // [M]
    return at::take(pattern, first_head.unsqueeze(1) + heads);                           // [M, H]
  };
  sums.Read(prompts, std::max<int64_t>(1, kGatheredValues / n_heads), read);
  if (!input.values.defined()) return at::Tensor();
  return ByRow(ProductByHead(pattern.to(input.values.scalar_type()), ByHead(input.values, n_prompts)))
      .flatten(1);
}

// The first prompts of `prompts` that share one length.
std::span<const PackedPrompt> EqualLengthRun(std::span<const PackedPrompt> prompts) {
  const auto differs = [&](const PackedPrompt& prompt) { return prompt.length != prompts.front().length; };
  const auto end = std::find_if(prompts.begin(), prompts.end(), differs);
  return prompts.first(static_cast<size_t>(end - prompts.begin()));
}

// How many of `prompts`, all of one length, a path takes at a time.
size_t PromptsAtOnce(std::span<const PackedPrompt> prompts, AttentionPath path, int64_t n_heads) {
  if (path == AttentionPath::kLogSumExp) return prompts.size();
  const int64_t pattern_values = n_heads * prompts.front().length * prompts.front().length;
  return static_cast<size_t>(std::max<int64_t>(1, kPatternValues / pattern_values));
}

}  // namespace

AttentionPath ChoosePath(std::span<const PackedPrompt> prompts, const at::Tensor& queries) {
  if (!HasFusedAttention(queries)) return AttentionPath::kPattern;
  int64_t n_reads = 0, n_entries = 0;
  for (const PackedPrompt& prompt : prompts) {
    n_reads += prompt.n_pairs;
    n_entries += prompt.length * prompt.length;
  }
  const int64_t entries_per_read = queries.is_cpu() ? kPatternEntriesPerReadCpu : kPatternEntriesPerRead;
  return n_reads * entries_per_read > n_entries ? AttentionPath::kPattern : AttentionPath::kLogSumExp;
}

at::Tensor AttendEqualLengths(const AttentionInput& input, std::span<const PackedPrompt> prompts,
                              AttentionPath path, ReadoutSums& sums) {
  const size_t at_once = PromptsAtOnce(prompts, path, input.queries.size(1));
  const int64_t length = prompts.front().length;
  std::vector<at::Tensor> outputs;
  for (size_t first = 0; first < prompts.size(); first += at_once) {
    const auto part = prompts.subspan(first, std::min(at_once, prompts.size() - first));
    const AttentionInput rows =
        Rows(input, static_cast<int64_t>(first) * length, static_cast<int64_t>(part.size()) * length);
    outputs.push_back(path == AttentionPath::kLogSumExp ? AttendByLogSumExp(rows, part, sums)
                                                        : AttendByPattern(rows, part, sums));
  }
  if (!input.values.defined()) return at::Tensor();
  return outputs.size() == 1 ? outputs.front() : at::cat(outputs);
}

at::Tensor Attend(const AttentionInput& input, std::span<const PackedPrompt> prompts, ReadoutSums& sums) {
  std::vector<at::Tensor> outputs;
  int64_t row = 0;
  while (!prompts.empty()) {
    const std::span<const PackedPrompt> run = EqualLengthRun(prompts);
    const int64_t n_rows = static_cast<int64_t>(run.size()) * run.front().length;
    outputs.push_back(
        AttendEqualLengths(Rows(input, row, n_rows), run, ChoosePath(run, input.queries), sums));
    row += n_rows;
    prompts = prompts.subspan(run.size());
  }
  if (!input.values.defined()) return at::Tensor();
  return outputs.size() == 1 ? outputs.front() : at::cat(outputs);
}

}  // namespace induct::engine
