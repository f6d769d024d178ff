#include "tests/benchmark/machine_limit.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace induct::engine {
namespace {

constexpr int64_t kIterations = 20'000'000;
constexpr int kAccumulators = 12;  // more than a pipeline's latency times its number, and registers hold them

template <int W>
struct Simd {
  using Vector __attribute__((vector_size(W * sizeof(float)))) = float;
};

// Numbers that do not grow, and that the compiler cannot know.
template <int W>
inline __attribute__((always_inline)) float MultiplyAndAdd(float factor, float addend) {
  using Vector = typename Simd<W>::Vector;
  Vector sums[kAccumulators];
  for (int i = 0; i < kAccumulators; ++i) sums[i] = Vector{} + static_cast<float>(i);
  const Vector factors = Vector{} + factor, addends = Vector{} + addend;
  for (int64_t n = 0; n < kIterations; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < kAccumulators; ++i) sums[i] = sums[i] * factors + addends;
  }
  float sum = 0;
  for (int i = 0; i < kAccumulators; ++i) sum += sums[i][0];
  return sum;
}

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) float WithAvx2(float factor, float addend) {
  return MultiplyAndAdd<8>(factor, addend);
}
__attribute__((target("avx512f,fma"))) float WithAvx512(float factor, float addend) {
  return MultiplyAndAdd<16>(factor, addend);
}
#endif

}  // namespace

double RegisterLimit(int threads) {
#ifdef __x86_64__
  const std::string capability = at::get_cpu_capability();
  if (capability != "AVX2" && capability != "AVX512") return 0;
  const bool wide = capability == "AVX512";
  static std::atomic<float> result = 0;  // somebody might read it, so it has to be computed
  const auto start = std::chrono::steady_clock::now();
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) result = (wide ? WithAvx512 : WithAvx2)(0.999f, 0.001f);
  });
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return 2.0 * kAccumulators * (wide ? 16 : 8) * static_cast<double>(kIterations) * threads / seconds / 1e9;
#else
  return 0;
#endif
}

}  // namespace induct::engine
