// Takes the place of cuda_kernels.cu in a build without nvcc: there are no kernels, and nobody launches any.
#include "server/engine/cuda_launch.h"

namespace induct::engine::cuda {
namespace {

constexpr int kNotSupported = 801;  // cudaErrorNotSupported

}  // namespace

bool HasKernels() { return false; }

int Norm(const float*, const float*, const float*, void*, Number, int64_t, int64_t, float, bool, void*) {
  return kNotSupported;
}

int Rotate(void*, Number, const int64_t*, const float*, const float*, int64_t, int64_t, int64_t, int64_t,
           int64_t, void*) {
  return kNotSupported;
}

int PairProbabilities(Heads, Heads, Number, const float*, const int64_t*, const int64_t*, float*, int64_t,
                      int64_t, int64_t, int64_t, float, void*) {
  return kNotSupported;
}

int WeightedSum(const float*, const int64_t*, const float*, const int64_t*, double*, int64_t, int64_t,
                int64_t, void*) {
  return kNotSupported;
}

int Add(float*, const void*, const void*, Number, int64_t, void*) { return kNotSupported; }

}  // namespace induct::engine::cuda
