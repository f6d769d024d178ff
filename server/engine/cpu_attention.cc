#include "server/engine/cpu_attention.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace induct::engine {
namespace {

// How it goes, for one head of one prompt: its keys and values are copied, as float32, into panels that the
// products below read from beginning to end. Then a few queries at a time: their scores with all keys up to
// theirs, which stay in the first or second cache; the softmax of these; the weighted sum of the values. All
// of it is written once, in the vector extension of GCC and Clang, and compiled for each width of a
// processor's vectors.

// What a kernel calls has to become part of it, for the kernel alone is compiled for its processor.
#define INDUCT_INLINE inline __attribute__((always_inline))

// Fewer are not worth another thread.
constexpr int64_t kPairsOfThread = 64;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// One head of one prompt in a tensor [S, heads, K]: K contiguous numbers for each token.
template <typename Number>
struct HeadRows {
  Number* data = nullptr;
  int64_t stride = 0;

  Number* Token(int64_t token) const { return data + token * stride; }
};

// What a kernel does. P is the width of its panels, R the number of queries that it takes at a time.
template <typename Number>
struct HeadTask {
  int64_t length = 0, d_head = 0;
  float query_factor = 0;  // the scale, and log2(e): powers of 2 are faster
  HeadRows<const Number> queries, keys, values;
  HeadRows<Number> output;      // without data: not wanted, and there are no values
  HeadRows<float> log_sum_exp;  // one number for each token
  bool same_keys = false;       // and values, as in the task before: the panels have them
  // The thread's workspace.
  float* key_panels = nullptr;    // [panels of P keys, K, P]
  float* value_panels = nullptr;  // [panels of P dimensions, length, P]
  float* some_queries = nullptr;  // [R, K]
  float* scores = nullptr;        // [R, score_stride]
  int64_t score_stride = 0;
};

// W numbers that are computed with at once.
template <int W>
struct Simd {
  using Vector __attribute__((vector_size(W * sizeof(float)))) = float;
  using Integers __attribute__((vector_size(W * sizeof(float)))) = int32_t;
};

// Vectors are passed by reference: how they are returned differs between processors.
template <typename Vector>
INDUCT_INLINE void Load(const float* numbers, Vector& vector) {
  std::memcpy(&vector, numbers, sizeof(vector));
}

template <typename Vector>
INDUCT_INLINE void Store(const Vector& vector, float* numbers) {
  std::memcpy(numbers, &vector, sizeof(vector));
}

// x = 2^x, 0 below the least normal number; for x <= 0. Within 2 units in the last place.
template <int W>
INDUCT_INLINE void Exp2(typename Simd<W>::Vector& x) {
  using Vector = typename Simd<W>::Vector;
  constexpr float kLeast = -126;
  constexpr float kRounding = 3 << 22;  // whoever adds it and takes it away has an integer
  const Vector bounded = x < kLeast ? Vector{} + kLeast : x;
  const Vector whole = (bounded + kRounding) - kRounding;
  const Vector rest = bounded - whole;  // in [-1/2, 1/2]
  // The Taylor series of 2^rest: ln(2)^n / n!.
  Vector power = Vector{} + 1.5252734e-5f;
  for (const float coefficient :
       {1.5403530e-4f, 1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f, 0.24022651f, 0.69314718f, 1.0f}) {
    power = power * rest + coefficient;
  }
  const auto exponent = (__builtin_convertvector(whole, typename Simd<W>::Integers) + 127) << 23;
  Vector scale;
  std::memcpy(&scale, &exponent, sizeof(scale));  // the bits of 2^whole
  x = x < kLeast ? Vector{} : power * scale;
}

// sums[r, :] = the sum over i < n of left[r, i] * right[i, :], in registers. left: rows left_stride apart;
// right: [n, 2 W].
template <int W, int R>
INDUCT_INLINE void Multiply(const float* left, int64_t left_stride, const float* right, int64_t n,
                            typename Simd<W>::Vector (&sums)[R][2]) {
  using Vector = typename Simd<W>::Vector;
  for (int r = 0; r < R; ++r) sums[r][0] = sums[r][1] = Vector{};
  for (int64_t i = 0; i < n; ++i, right += 2 * W) {
    Vector first, second;
    Load(right, first);
    Load(right + W, second);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float factor = left[r * left_stride + i];
      sums[r][0] += factor * first;
      sums[r][1] += factor * second;
    }
  }
}

// Takes a query's scores, in units of log 2, to 2^(score - highest) up to key `last`, and to 0 from there up
// to `end`, a multiple of W.
template <int W>
INDUCT_INLINE void Exponentiate(float* scores, int64_t last, int64_t end, float& log_sum_exp,
                                float& one_over_sum) {
  using Vector = typename Simd<W>::Vector;
  std::fill(scores + last + 1, scores + end, -kInfinity);
  Vector highest, score;
  Load(scores, highest);
  for (int64_t key = W; key <= last; key += W) {
    Load(scores + key, score);
    highest = highest < score ? score : highest;
  }
  float shift = highest[0];
  for (int i = 1; i < W; ++i) shift = std::max(shift, highest[i]);

  Vector sums = {};
  for (int64_t key = 0; key < end; key += W) {
    Load(scores + key, score);
    score -= shift;
    Exp2<W>(score);
    Store(score, scores + key);
    sums += score;
  }
  float sum = 0;
  for (int i = 0; i < W; ++i) sum += sums[i];
  log_sum_exp = static_cast<float>(std::numbers::ln2) * (shift + std::log2(sum));
  one_over_sum = 1 / sum;
}

template <int kPanel, typename Number>
INDUCT_INLINE void FillKeyPanels(const HeadTask<Number>& task) {
  constexpr int64_t kAtOnce = 16;  // numbers of a key, for the cache's sake
  float* panel = task.key_panels;
  for (int64_t first = 0; first < task.length; first += kPanel, panel += kPanel * task.d_head) {
    const int64_t count = std::min<int64_t>(kPanel, task.length - first);
    for (int64_t i = 0; i < task.d_head; i += kAtOnce) {
      const int64_t end = std::min(i + kAtOnce, task.d_head);
      for (int64_t token = 0; token < count; ++token) {
        const Number* const key = task.keys.Token(first + token);
        for (int64_t j = i; j < end; ++j) panel[j * kPanel + token] = static_cast<float>(key[j]);
      }
    }
  }
}

template <int kPanel, typename Number>
INDUCT_INLINE void FillValuePanels(const HeadTask<Number>& task) {
  float* panel = task.value_panels;
  for (int64_t first = 0; first < task.d_head; first += kPanel) {
    const int64_t count = std::min<int64_t>(kPanel, task.d_head - first);
    for (int64_t token = 0; token < task.length; ++token, panel += kPanel) {
      const Number* const value = task.values.Token(token) + first;
      for (int64_t i = 0; i < count; ++i) panel[i] = static_cast<float>(value[i]);
    }
  }
}

// The scores of task.some_queries with the P keys from `key` on.
template <int W, int R, typename Number>
INDUCT_INLINE void Score(const HeadTask<Number>& task, int64_t key) {
  using Vector = typename Simd<W>::Vector;
  Vector sums[R][2];
  Multiply<W, R>(task.some_queries, task.d_head, task.key_panels + key * task.d_head, task.d_head, sums);
  for (int r = 0; r < R; ++r) {
    float* const scores = task.scores + r * task.score_stride + key;
    Store(sums[r][0], scores);
    Store(sums[r][1], scores + W);
  }
}

// The output of n_queries queries, the first of them `first`, from their powers of 2 in task.scores.
template <int W, int R, typename Number>
INDUCT_INLINE void SumValues(const HeadTask<Number>& task, int64_t first, int64_t n_queries,
                             const float (&one_over_sum)[R]) {
  using Vector = typename Simd<W>::Vector;
  for (int64_t i = 0; i < task.d_head; i += 2 * W) {
    const int64_t count = std::min<int64_t>(2 * W, task.d_head - i);
    Vector sums[R][2];
    Multiply<W, R>(task.scores, task.score_stride, task.value_panels + i * task.length, first + n_queries,
                   sums);
    for (int r = 0; r < n_queries; ++r) {
      float numbers[2 * W];
      Store(sums[r][0] * one_over_sum[r], numbers);
      Store(sums[r][1] * one_over_sum[r], numbers + W);
      Number* const output = task.output.Token(first + r) + i;
      for (int64_t j = 0; j < count; ++j) output[j] = static_cast<Number>(numbers[j]);
    }
  }
}

template <int W, int R, typename Number>
INDUCT_INLINE void Attend(const HeadTask<Number>& task) {
  constexpr int kPanel = 2 * W;
  if (!task.same_keys) {
    FillKeyPanels<kPanel>(task);
    if (task.output.data != nullptr) FillValuePanels<kPanel>(task);
  }
  for (int64_t first = 0; first < task.length; first += R) {
    const int64_t n_queries = std::min<int64_t>(R, task.length - first), n_keys = first + n_queries;
    for (int64_t r = 0; r < n_queries; ++r) {
      const Number* const query = task.queries.Token(first + r);
      float* const scaled = task.some_queries + r * task.d_head;
      for (int64_t i = 0; i < task.d_head; ++i) scaled[i] = task.query_factor * static_cast<float>(query[i]);
    }
    int64_t end = 0;
    for (; end < n_keys; end += kPanel) Score<W, R>(task, end);
    float one_over_sum[R];
    for (int r = 0; r < n_queries; ++r) {
      Exponentiate<W>(task.scores + r * task.score_stride, first + r, end, *task.log_sum_exp.Token(first + r),
                      one_over_sum[r]);
    }
    if (task.output.data != nullptr) SumValues<W, R>(task, first, n_queries, one_over_sum);
  }
}

// The same for each kind of processor: how many numbers its vectors have, and for how many queries its
// registers have room.
struct AnyProcessor {
  static constexpr int kNumbers = 4, kQueries = 4;
};
struct Avx2 {
  static constexpr int kNumbers = 8, kQueries = 6;
};
struct Avx512 {
  static constexpr int kNumbers = 16, kQueries = 8;
};

template <typename Number>
struct Kernel {
  int64_t panel = 0, n_queries = 0;  // P, R
  void (*attend)(const HeadTask<Number>& task) = nullptr;
};

template <typename Number>
void AttendAnywhere(const HeadTask<Number>& task) {
  Attend<AnyProcessor::kNumbers, AnyProcessor::kQueries>(task);
}

#ifdef __x86_64__
template <typename Number>
__attribute__((target("avx2,fma,f16c"))) void AttendAvx2(const HeadTask<Number>& task) {
  Attend<Avx2::kNumbers, Avx2::kQueries>(task);
}

template <typename Number>
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c"))) void AttendAvx512(
    const HeadTask<Number>& task) {
  Attend<Avx512::kNumbers, Avx512::kQueries>(task);
}
#endif

template <typename Processor, typename Number>
Kernel<Number> MakeKernel(void (*attend)(const HeadTask<Number>& task)) {
  return {.panel = 2 * Processor::kNumbers, .n_queries = Processor::kQueries, .attend = attend};
}

template <typename Number>
Kernel<Number> KernelOfProcessor() {
#ifdef __x86_64__
  // LibTorch's word for it, which heeds ATEN_CPU_CAPABILITY.
  const std::string capability = at::get_cpu_capability();
  if (capability == "AVX512") return MakeKernel<Avx512>(AttendAvx512<Number>);
  if (capability == "AVX2") return MakeKernel<Avx2>(AttendAvx2<Number>);
#endif
  return MakeKernel<AnyProcessor>(AttendAnywhere<Number>);
}

int64_t RoundUp(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

template <typename Number>
HeadRows<const Number> HeadOf(const at::Tensor& tensor, int64_t first_row, int64_t head) {
  return {.data = tensor.const_data_ptr<Number>() + first_row * tensor.stride(0) + head * tensor.stride(1),
          .stride = tensor.stride(0)};
}

// Takes the task's workspace out of the memory that is returned.
template <typename Number>
at::Tensor MakeWorkspace(const Kernel<Number>& kernel, HeadTask<Number>& task) {
  const int64_t n_keys = RoundUp(task.length, kernel.panel);
  // Rows that are a power of two apart would want the same lines of the cache.
  task.score_stride = n_keys + kernel.panel / 2;
  const std::initializer_list<std::pair<float**, int64_t>> parts = {
      {&task.key_panels, n_keys * task.d_head},
      {&task.value_panels, RoundUp(task.d_head, kernel.panel) * task.length},
      {&task.some_queries, kernel.n_queries * task.d_head},
      {&task.scores, kernel.n_queries * task.score_stride}};
  int64_t total = 0;
  for (const auto& [part, count] : parts) total += count;
  at::Tensor memory = at::zeros({total}, at::kFloat);  // where panels end, other numbers might be slow
  float* next = memory.mutable_data_ptr<float>();
  for (const auto& [part, count] : parts) *part = std::exchange(next, next + count);
  return memory;
}

template <typename Number>
void AttendHeads(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, int64_t length,
                 double scale, const AttentionResult& result) {
  const int64_t n_heads = queries.size(1), n_readers = n_heads / keys.size(1);
  const int64_t n_tasks = queries.size(0) / length * n_heads;  // a prompt's heads one after another
  const Kernel<Number> kernel = KernelOfProcessor<Number>();
  at::parallel_for(0, n_tasks, 1, [&](int64_t begin, int64_t end) {
    HeadTask<Number> task;
    task.length = length;
    task.d_head = queries.size(2);
    task.query_factor = static_cast<float>(scale * std::numbers::log2e);
    const at::Tensor workspace = MakeWorkspace(kernel, task);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first_row = i / n_heads * length, head = i % n_heads;
      task.queries = HeadOf<Number>(queries, first_row, head);
      task.keys = HeadOf<Number>(keys, first_row, head / n_readers);
      task.same_keys = i > begin && i % n_readers != 0;
      task.log_sum_exp = {.data = result.log_sum_exp.mutable_data_ptr<float>() + first_row * n_heads + head,
                          .stride = n_heads};
      if (values.defined()) {
        task.values = HeadOf<Number>(values, first_row, head / n_readers);
        const auto offset = (first_row * n_heads + head) * task.d_head;
        task.output = {.data = result.output.mutable_data_ptr<Number>() + offset,
                       .stride = n_heads * task.d_head};
      }
      kernel.attend(task);
    }
  });
}

// In lanes, so that the compiler can take several numbers at a time.
template <typename Number>
float DotProduct(const Number* a, const Number* b, int64_t count) {
  constexpr int64_t kLanes = 16;
  float sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<float>(a[i + lane]) * static_cast<float>(b[i + lane]);
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<float>(a[i]) * static_cast<float>(b[i]);
  return std::accumulate(sums, sums + kLanes, 0.0f);
}

template <typename Number>
void ReadPairs(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& log_sum_exp,
               const at::Tensor& query_rows, const at::Tensor& key_rows, float scale,
               const at::Tensor& probabilities) {
  const int64_t n_heads = queries.size(1), d_head = queries.size(2), n_readers = n_heads / keys.size(1);
  std::vector<HeadRows<const Number>> query_heads, key_heads;  // over all rows, as each query head reads them
  for (int64_t head = 0; head < n_heads; ++head) {
    query_heads.push_back(HeadOf<Number>(queries, 0, head));
    key_heads.push_back(HeadOf<Number>(keys, 0, head / n_readers));
  }
  const int64_t* const query_row = query_rows.const_data_ptr<int64_t>();
  const int64_t* const key_row = key_rows.const_data_ptr<int64_t>();
  const float* const query_sums = log_sum_exp.const_data_ptr<float>();
  float* const out = probabilities.mutable_data_ptr<float>();
  at::parallel_for(0, query_rows.size(0), kPairsOfThread, [&](int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair) {
      for (int64_t head = 0; head < n_heads; ++head) {
        const Number* const query = query_heads[head].Token(query_row[pair]);
        const Number* const key = key_heads[head].Token(key_row[pair]);
        out[pair * n_heads + head] =
            std::exp(scale * DotProduct(query, key, d_head) - query_sums[query_row[pair] * n_heads + head]);
      }
    }
  });
}

// Calls `visit` with a number of the dtype: float32, float16 or bfloat16.
template <typename Visit>
void VisitNumber(c10::ScalarType dtype, const Visit& visit) {
  if (dtype == at::kHalf) return visit(c10::Half());
  if (dtype == at::kBFloat16) return visit(c10::BFloat16());
  visit(0.0f);
}

}  // namespace

AttentionResult AttendOnCpu(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            int64_t length, double scale) {
  RECORD_FUNCTION("induct::attention", {});  // for those who measure by operation
  AttentionResult result;
  result.log_sum_exp = at::empty({queries.size(0), queries.size(1)}, at::kFloat);
  if (values.defined()) result.output = at::empty(queries.sizes(), queries.scalar_type());
  VisitNumber(queries.scalar_type(), [&](auto number) {
    AttendHeads<decltype(number)>(queries, keys, values, length, scale, result);
  });
  return result;
}

at::Tensor PairProbabilitiesOnCpu(const at::Tensor& queries, const at::Tensor& keys,
                                  const at::Tensor& log_sum_exp, const at::Tensor& query_rows,
                                  const at::Tensor& key_rows, double scale) {
  RECORD_FUNCTION("induct::pair_probabilities", {});
  const at::Tensor probabilities = at::empty({query_rows.size(0), queries.size(1)}, at::kFloat);
  VisitNumber(queries.scalar_type(), [&](auto number) {
    ReadPairs<decltype(number)>(queries, keys, log_sum_exp, query_rows, key_rows, static_cast<float>(scale),
                                probabilities);
  });
  return probabilities;
}

}  // namespace induct::engine
