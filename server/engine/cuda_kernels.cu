#include <cuda_bf16.h>
#include <cuda_fp16.h>

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

// Four neighbours, loaded and stored at once.
template <typename T>
struct alignas(4 * sizeof(T)) Four {
  T values[4];
};

__device__ float WarpSum(float value) {
  for (int lane = kWarp / 2; lane > 0; lane /= 2) value += __shfl_xor_sync(0xffffffffu, value, lane);
  return value;
}

// The sum over the block, for every thread of it.
__device__ float BlockSum(float value) {
  __shared__ float of_warp[kBlock / kWarp];
  value = WarpSum(value);
  __syncthreads();  // the last sum may still be read
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = 0;
  for (int warp = 0; warp < kBlock / kWarp; ++warp) value += of_warp[warp];
  return value;
}

// One block a row, which stays in shared memory: mean, then variance, as LibTorch's layer norm in float32.
// Vector is Four, or one number where the width is no multiple of 4.
template <typename T, int kVector>
__global__ void NormKernel(const float* __restrict__ input, const float* __restrict__ weight,
                           const float* __restrict__ bias, T* __restrict__ output, int width, float epsilon,
                           bool root_mean_square) {
  extern __shared__ float row[];
  const float* const from = input + static_cast<int64_t>(blockIdx.x) * width;
  T* const to = output + static_cast<int64_t>(blockIdx.x) * width;
  float sum = 0;
  for (int i = threadIdx.x * kVector; i < width; i += kBlock * kVector) {
    if constexpr (kVector == 4) {
      const float4 four = *reinterpret_cast<const float4*>(from + i);
      *reinterpret_cast<float4*>(row + i) = four;
      sum += four.x + four.y + four.z + four.w;
    } else {
      row[i] = from[i];
      sum += row[i];
    }
  }
  const float mean = root_mean_square ? 0 : BlockSum(sum) / static_cast<float>(width);
  float squares = 0;
  for (int i = threadIdx.x * kVector; i < width; i += kBlock * kVector) {
    for (int j = 0; j < kVector; ++j) squares += (row[i + j] - mean) * (row[i + j] - mean);
  }
  const float scale = rsqrtf(BlockSum(squares) / static_cast<float>(width) + epsilon);
  for (int i = threadIdx.x * kVector; i < width; i += kBlock * kVector) {
    T normed[kVector];
    for (int j = 0; j < kVector; ++j) {
      const float offset = bias == nullptr ? 0 : bias[i + j];
      normed[j] = FromFloat<T>((row[i + j] - mean) * scale * weight[i + j] + offset);
    }
    if constexpr (kVector == 4) {
      *reinterpret_cast<Four<T>*>(to + i) = {normed[0], normed[1], normed[2], normed[3]};
    } else {
      to[i] = normed[0];
    }
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

// One warp a pair and head.
template <typename T>
__global__ void PairKernel(Heads queries, Heads keys, const float* __restrict__ log_sum_exp,
                           const int64_t* __restrict__ query_rows, const int64_t* __restrict__ key_rows,
                           float* __restrict__ probabilities, int64_t n_reads, int n_heads, int n_readers,
                           int d_head, float scale) {
  const int64_t read = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) / kWarp;
  if (read >= n_reads) return;
  const int64_t pair = read / n_heads;
  const int head = static_cast<int>(read % n_heads);
  const int64_t query_row = query_rows[pair];
  const T* const query =
      static_cast<const T*>(queries.data) + query_row * queries.row_stride + head * queries.head_stride;
  const T* const key = static_cast<const T*>(keys.data) + key_rows[pair] * keys.row_stride +
                       head / n_readers * keys.head_stride;
  float product = 0;
  for (int i = threadIdx.x % kWarp; i < d_head; i += kWarp) product += ToFloat(query[i]) * ToFloat(key[i]);
  product = WarpSum(product);
  if (threadIdx.x % kWarp == 0) {
    probabilities[read] = expf(product * scale - log_sum_exp[query_row * n_heads + head]);
  }
}

template <typename T, int kVector>
__global__ void AddKernel(float* residual, const T* __restrict__ first, const T* __restrict__ second,
                          int64_t count) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x) * kVector;
  if (i >= count) return;
  auto* const sums = reinterpret_cast<Four<float>*>(residual + i);
  if constexpr (kVector == 4) {
    const Four<T> a = *reinterpret_cast<const Four<T>*>(first + i),
                  b = *reinterpret_cast<const Four<T>*>(second + i);
    Four<float> four = *sums;
    for (int j = 0; j < 4; ++j) four.values[j] = four.values[j] + ToFloat(a.values[j]) + ToFloat(b.values[j]);
    *sums = four;
  } else {
    residual[i] = residual[i] + ToFloat(first[i]) + ToFloat(second[i]);
  }
}

int Blocks(int64_t n_threads) { return static_cast<int>((n_threads + kBlock - 1) / kBlock); }

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
  return ForNumber(output_number, [&](auto number) {
    using T = decltype(number);
    const auto kernel = width % 4 == 0 ? NormKernel<T, 4> : NormKernel<T, 1>;
    kernel<<<static_cast<int>(n_rows), kBlock, width * sizeof(float), static_cast<cudaStream_t>(stream)>>>(
        input, weight, bias, static_cast<T*>(output), static_cast<int>(width), epsilon, root_mean_square);
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
    const int64_t n_reads = n_pairs * n_heads;
    PairKernel<decltype(type)><<<Blocks(n_reads * kWarp), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
        queries, keys, log_sum_exp, query_rows, key_rows, probabilities, n_reads, static_cast<int>(n_heads),
        static_cast<int>(n_heads / n_kv_heads), static_cast<int>(d_head), scale);
  });
}

int Add(float* residual, const void* first, const void* second, Number number, int64_t count, void* stream) {
  return ForNumber(number, [&](auto type) {
    using T = decltype(type);
    const int vector = count % 4 == 0 ? 4 : 1;
    const auto kernel = vector == 4 ? AddKernel<T, 4> : AddKernel<T, 1>;
    kernel<<<Blocks(count / vector), kBlock, 0, static_cast<cudaStream_t>(stream)>>>(
        residual, static_cast<const T*>(first), static_cast<const T*>(second), count);
  });
}

}  // namespace induct::engine::cuda
