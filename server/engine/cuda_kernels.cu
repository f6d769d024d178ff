#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cstdint>

#include "server/engine/cuda_launch.h"

namespace induct::engine::cuda {
namespace {

constexpr int kWarp = 32;
constexpr int kBlock = 256;

__device__ float ToFloat(float value) { return value; }
__device__ float ToFloat(__half value) { return __half2float(value); }
__device__ float ToFloat(__nv_bfloat16 value) { return __bfloat162float(value); }

template <typename T>
__device__ T FromFloat(float value);
template <>
__device__ float FromFloat(float value) {
  return value;
}
template <>
__device__ __half FromFloat(float value) {
  return __float2half_rn(value);
}
template <>
__device__ __nv_bfloat16 FromFloat(float value) {
  return __float2bfloat16_rn(value);
}

// Neighbours that are loaded and stored at once.
template <typename T, int kCount>
struct alignas(kCount * sizeof(T)) Pack {
  T values[kCount];
};

template <int kCount, typename T>
__device__ Pack<T, kCount> Load(const T* from) {
  return *reinterpret_cast<const Pack<T, kCount>*>(from);
}

template <int kCount, typename T>
__device__ void Store(const Pack<T, kCount>& pack, T* to) {
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
}

// The sum over groups of kLanes neighbouring threads of a warp, for each of them.
template <int kLanes>
__device__ float SumOverLanes(float value) {
  for (int lane = kLanes / 2; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
  return value;
}

// One warp a row, which stays in shared memory: mean, then variance, as LibTorch's layer norm in float32. A
// lane comes back to its own numbers only, kCount neighbours at a time.
template <typename T, int kCount>
__global__ void NormKernel(const float* __restrict__ input, const float* __restrict__ weight,
                           const float* __restrict__ bias, T* __restrict__ output, int64_t n_rows, int width,
                           float epsilon, bool root_mean_square) {
  extern __shared__ float rows[];
  const int warp = threadIdx.x / kWarp, first = threadIdx.x % kWarp * kCount;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + warp;
  if (row >= n_rows) return;  // a whole warp
  float* const kept = rows + warp * width;
  float sum = 0;
  for (int i = first; i < width; i += kWarp * kCount) {
    const auto pack = Load<kCount>(input + row * width + i);
    Store(pack, kept + i);
    for (const float value : pack.values) sum += value;
  }
  const float mean = root_mean_square ? 0 : SumOverLanes<kWarp>(sum) / static_cast<float>(width);
  float squares = 0;
  for (int i = first; i < width; i += kWarp * kCount) {
    for (const float value : Load<kCount>(kept + i).values) squares += (value - mean) * (value - mean);
  }
  const float scale = rsqrtf(SumOverLanes<kWarp>(squares) / static_cast<float>(width) + epsilon);
  for (int i = first; i < width; i += kWarp * kCount) {
    const auto pack = Load<kCount>(kept + i), weights = Load<kCount>(weight + i);
    const auto offsets = bias == nullptr ? Pack<float, kCount>{} : Load<kCount>(bias + i);
    Pack<T, kCount> normed;
    for (int j = 0; j < kCount; ++j) {
      normed.values[j] =
          FromFloat<T>((pack.values[j] - mean) * scale * weights.values[j] + offsets.values[j]);
    }
    Store(normed, output + row * width + i);
  }
}

// One thread a pair of elements.
template <typename T>
__global__ void RotateKernel(T* heads, const int64_t* __restrict__ positions, const float* __restrict__ cos,
                             const float* __restrict__ sin, int64_t n_pairs, int n_heads, int half,
                             int64_t row_stride, int64_t head_stride) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (pair >= n_pairs) return;
  const int i = static_cast<int>(pair % half);
  const int64_t head_of_row = pair / half;
  const int64_t row = head_of_row / n_heads;
  T* const head = heads + row * row_stride + head_of_row % n_heads * head_stride;
  const float c = cos[positions[row] * half + i], s = sin[positions[row] * half + i];
  const float first = ToFloat(head[i]), second = ToFloat(head[half + i]);
  head[i] = FromFloat<T>(first * c - second * s);
  head[half + i] = FromFloat<T>(second * c + first * s);
}

// Lanes that read one pair of one head.
constexpr int kReaders = 8;

template <typename T, int kCount>
__global__ void PairKernel(Heads queries, Heads keys, const float* __restrict__ log_sum_exp,
                           const int64_t* __restrict__ query_rows, const int64_t* __restrict__ key_rows,
                           float* __restrict__ probabilities, int64_t n_reads, int n_heads, int n_sharing,
                           int d_head, float scale) {
  const int64_t read = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kReaders;
  if (read - read % (kWarp / kReaders) >= n_reads) return;  // a whole warp
  const int64_t pair = min(read, n_reads - 1) / n_heads;
  const int head = static_cast<int>(min(read, n_reads - 1) % n_heads);
  const int64_t query_row = query_rows[pair];
  const T* const query =
      static_cast<const T*>(queries.data) + query_row * queries.row_stride + head * queries.head_stride;
  const T* const key = static_cast<const T*>(keys.data) + key_rows[pair] * keys.row_stride +
                       head / n_sharing * keys.head_stride;
  const int lane = threadIdx.x % kReaders;
  float product = 0;
  for (int i = lane * kCount; i < d_head; i += kReaders * kCount) {
    const auto q = Load<kCount>(query + i), k = Load<kCount>(key + i);
    for (int j = 0; j < kCount; ++j) product += ToFloat(q.values[j]) * ToFloat(k.values[j]);
  }
  product = SumOverLanes<kReaders>(product);
  if (lane == 0 && read < n_reads) {
    probabilities[read] = expf(product * scale - log_sum_exp[query_row * n_heads + head]);
  }
}

// One thread a target and a head.
__global__ void WeightedSumKernel(const float* __restrict__ probabilities, const int64_t* __restrict__ rows,
                                  const float* __restrict__ weights, const int64_t* __restrict__ groups,
                                  double* sums, int64_t count, int n_heads, int64_t first_row) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const int64_t target = i / n_heads, head = i % n_heads;
  const float probability = probabilities[(rows[target] - first_row) * n_heads + head];
  atomicAdd(sums + groups[target] * n_heads + head, static_cast<double>(weights[target]) * probability);
}

template <typename T, int kCount>
__global__ void AddKernel(float* residual, const T* __restrict__ first, const T* __restrict__ second,
                          int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) * kCount;
  if (i >= count) return;
  auto sums = Load<kCount>(residual + i);
  const auto a = Load<kCount>(first + i), b = Load<kCount>(second + i);
  for (int j = 0; j < kCount; ++j)
    sums.values[j] = sums.values[j] + ToFloat(a.values[j]) + ToFloat(b.values[j]);
  Store(sums, residual + i);
}

int Blocks(int64_t count, int64_t of_block = kBlock) {
  return static_cast<int>((count + of_block - 1) / of_block);
}

// Whether every head begins where kCount numbers can be loaded at once.
template <typename T, int kCount>
bool AreAligned(const Heads& heads, int64_t d_head) {
  const bool pointer = reinterpret_cast<uintptr_t>(heads.data) % (kCount * sizeof(T)) == 0;
  return pointer && heads.row_stride % kCount == 0 && heads.head_stride % kCount == 0 && d_head % kCount == 0;
}

// Calls `launch` with a value of the number's type; 0 where the kernel was launched.
template <typename Launch>
int ForNumber(Number number, const Launch& launch) {
  switch (number) {
    case Number::kFloat32:
      launch(float());
      break;
    case Number::kFloat16:
      launch(__half());
      break;
    case Number::kBFloat16:
      launch(__nv_bfloat16());
      break;
  }
  return cudaGetLastError();
}

}  // namespace

bool HasKernels() { return true; }

int Norm(const float* input, const float* weight, const float* bias, void* output, Number output_number,
         int64_t n_rows, int64_t width, float epsilon, bool root_mean_square, void* stream) {
  const int64_t rows_at_once = std::clamp<int64_t>(kMaxNormWidth / width, 1, kBlock / kWarp);
  return ForNumber(output_number, [&](auto number) {
    using T = decltype(number);
    const auto kernel = width % 4 == 0 ? NormKernel<T, 4> : NormKernel<T, 1>;
    kernel<<<Blocks(n_rows, rows_at_once), rows_at_once * kWarp, rows_at_once * width * sizeof(float),
             static_cast<cudaStream_t>(stream)>>>(input, weight, bias, static_cast<T*>(output), n_rows,
                                                  static_cast<int>(width), epsilon, root_mean_square);
  });
}

int Rotate(void* heads, Number number, const int64_t* positions, const float* cos, const float* sin,
           int64_t n_rows, int64_t n_heads, int64_t half, int64_t row_stride, int64_t head_stride,
           void* stream) {
  return ForNumber(number, [&](auto type) {
    using T = decltype(type);
    const int64_t n_pairs = n_rows * n_heads * half;
    RotateKernel<T><<<Blocks(n_pairs), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
        static_cast<T*>(heads), positions, cos, sin, n_pairs, static_cast<int>(n_heads),
        static_cast<int>(half), row_stride, head_stride);
  });
}

int PairProbabilities(Heads queries, Heads keys, Number number, const float* log_sum_exp,
                      const int64_t* query_rows, const int64_t* key_rows, float* probabilities,
                      int64_t n_pairs, int64_t n_heads, int64_t n_kv_heads, int64_t d_head, float scale,
                      void* stream) {
  return ForNumber(number, [&](auto type) {
    using T = decltype(type);
    constexpr int kCount = 16 / sizeof(T);
    const bool aligned = AreAligned<T, kCount>(queries, d_head) && AreAligned<T, kCount>(keys, d_head);
    const auto kernel = aligned ? PairKernel<T, kCount> : PairKernel<T, 1>;
    const int64_t n_reads = n_pairs * n_heads;
    kernel<<<Blocks(n_reads * kReaders), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
        queries, keys, log_sum_exp, query_rows, key_rows, probabilities, n_reads, static_cast<int>(n_heads),
        static_cast<int>(n_heads / n_kv_heads), static_cast<int>(d_head), scale);
  });
}

int WeightedSum(const float* probabilities, const int64_t* rows, const float* weights, const int64_t* groups,
                double* sums, int64_t n_targets, int64_t n_heads, int64_t first_row, void* stream) {
  const int64_t count = n_targets * n_heads;
  WeightedSumKernel<<<Blocks(count), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
      probabilities, rows, weights, groups, sums, count, static_cast<int>(n_heads), first_row);
  return cudaGetLastError();
}

int Add(float* residual, const void* first, const void* second, Number number, int64_t count, void* stream) {
  return ForNumber(number, [&](auto type) {
    using T = decltype(type);
    // The residual stream is part of a larger one and need not begin where four numbers can be loaded.
    const bool aligned = count % 4 == 0 && reinterpret_cast<uintptr_t>(residual) % (4 * sizeof(float)) == 0;
    const auto kernel = aligned ? AddKernel<T, 4> : AddKernel<T, 1>;
    kernel<<<Blocks(aligned ? count / 4 : count), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
        residual, static_cast<const T*>(first), static_cast<const T*>(second), count);
  });
}

}  // namespace induct::engine::cuda
