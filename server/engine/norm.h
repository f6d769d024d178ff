// One layer norm.
#pragma once

#include <ATen/core/Tensor.h>

namespace induct::engine {

struct Norm {
  at::Tensor weight, bias;  // [D]
};

// input and result: [S, D]. Statistics are float32 in any dtype, as LibTorch's kernels keep them.
at::Tensor ApplyNorm(const Norm& norm, const at::Tensor& input, double epsilon);

}  // namespace induct::engine
