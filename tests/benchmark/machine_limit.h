// What the processor can do at most.
#pragma once

namespace induct::engine {

// GFLOP/s in float32 of all threads together: fused multiply-adds of the widest vectors that LibTorch uses on
// this processor, on registers alone. Takes about a tenth of a second. 0 on processors other than x86-64 with
// AVX2.
double RegisterLimit(int threads);

}  // namespace induct::engine
