#include "server/engine/fused_kernels.h"

#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "server/engine/cuda_launch.h"

namespace induct::engine {
namespace {

constexpr int kCudaOutOfMemory = 2;  // cudaErrorMemoryAllocation

cuda::Number NumberOf(c10::ScalarType dtype) {
  if (dtype == at::kHalf) return cuda::Number::kFloat16;
  return dtype == at::kBFloat16 ? cuda::Number::kBFloat16 : cuda::Number::kFloat32;
}

// Makes the tensor's device the current one, and calls `launch` with the stream that LibTorch uses on it.
// Nothing is launched for a tensor without elements.
template <typename Launch>
void LaunchFor(const at::Tensor& tensor, const Launch& launch) {
  if (tensor.numel() == 0) return;
  const c10::DeviceGuard guard(tensor.device());
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  const int error = launch(device.getStream(tensor.device()).native_handle());
  TORCH_CHECK_WITH(OutOfMemoryError, error != kCudaOutOfMemory, "no memory to launch a kernel");
  TORCH_CHECK(error == 0, "a kernel could not be launched: CUDA error ", error);
}

cuda::Heads HeadsOf(const at::Tensor& heads) {
  return {.data = heads.const_data_ptr(), .row_stride = heads.stride(0), .head_stride = heads.stride(1)};
}

}  // namespace

bool HasFusedKernels(const at::Tensor& tensor) { return tensor.is_cuda() && cuda::HasKernels(); }

bool HasFusedNorm(const at::Tensor& input) {
  return HasFusedKernels(input) && input.dim() == 2 && input.scalar_type() == at::kFloat &&
         input.is_contiguous() && input.size(1) <= cuda::kMaxNormWidth;
}

at::Tensor FusedNorm(const Norm& norm, NormKind kind, double epsilon, const at::Tensor& input,
                     c10::ScalarType output_dtype) {
  at::Tensor output = at::empty(input.sizes(), input.options().dtype(output_dtype));
  LaunchFor(input, [&](void* stream) {
    return cuda::Norm(input.const_data_ptr<float>(), norm.weight.const_data_ptr<float>(),
                      norm.bias.defined() ? norm.bias.const_data_ptr<float>() : nullptr,
                      output.mutable_data_ptr(), NumberOf(output_dtype), input.size(0), input.size(1),
                      static_cast<float>(epsilon), kind == NormKind::kRmsNorm, stream);
  });
  return output;
}

void FusedRotate(const at::Tensor& heads, const at::Tensor& positions, const at::Tensor& cos,
                 const at::Tensor& sin) {
  LaunchFor(heads, [&](void* stream) {
    return cuda::Rotate(heads.mutable_data_ptr(), NumberOf(heads.scalar_type()),
                        positions.const_data_ptr<int64_t>(), cos.const_data_ptr<float>(),
                        sin.const_data_ptr<float>(), heads.size(0), heads.size(1), cos.size(-1),
                        heads.stride(0), heads.stride(1), stream);
  });
}

at::Tensor FusedPairProbabilities(const at::Tensor& queries, const at::Tensor& keys,
                                  const at::Tensor& log_sum_exp, const at::Tensor& query_rows,
                                  const at::Tensor& key_rows, double scale) {
  at::Tensor probabilities = at::empty({query_rows.size(0), queries.size(1)}, log_sum_exp.options());
  LaunchFor(probabilities, [&](void* stream) {
    return cuda::PairProbabilities(
        HeadsOf(queries), HeadsOf(keys), NumberOf(queries.scalar_type()), log_sum_exp.const_data_ptr<float>(),
        query_rows.const_data_ptr<int64_t>(), key_rows.const_data_ptr<int64_t>(),
        probabilities.mutable_data_ptr<float>(), query_rows.size(0), queries.size(1), keys.size(1),
        queries.size(2), static_cast<float>(scale), stream);
  });
  return probabilities;
}

void FusedWeightedSum(const at::Tensor& sums, const at::Tensor& groups, const at::Tensor& weights,
                      const at::Tensor& probabilities, const at::Tensor& rows, int64_t first_row) {
  LaunchFor(rows, [&](void* stream) {
    return cuda::WeightedSum(probabilities.const_data_ptr<float>(), rows.const_data_ptr<int64_t>(),
                             weights.const_data_ptr<float>(), groups.const_data_ptr<int64_t>(),
                             sums.mutable_data_ptr<double>(), rows.size(0), sums.size(1), first_row, stream);
  });
}

void FusedAdd(const at::Tensor& residual, const at::Tensor& first, const at::Tensor& second) {
  LaunchFor(residual, [&](void* stream) {
    return cuda::Add(residual.mutable_data_ptr<float>(), first.const_data_ptr(), second.const_data_ptr(),
                     NumberOf(first.scalar_type()), residual.numel(), stream);
  });
}

}  // namespace induct::engine
