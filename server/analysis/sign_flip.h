// The sign-flip test over prompts, adjusted for the number of heads by the maximum statistic. Definition:
// docs/method.md, "Nulls".
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::analysis {

// effects [N, C]: what each prompt gives for each column (a head, or a layer). Under the null a prompt's
// effects are as likely with the other sign, all columns together. Returns p_adjusted [C], one-sided for
// effects above 0: (1 + #{flips whose highest statistic over all columns >= the column's own}) / (1 +
// resamples); the statistic is mean / (sd / sqrt(N)), sd with N - 1, 0 where the sd is 0. Equal within 1e-9
// relative counts as reached.
//
// Flip r draws from Random(seed, "sign_flip", r). Time is resamples * N * C. REQUIRES: N >= 2, C >= 1,
// effects.size() == N * C, finite; resamples > 0. CANCELLED when `stop` is requested.
absl::StatusOr<std::vector<double>> SignFlipTest(std::span<const double> effects, size_t n_prompts,
                                                 uint32_t resamples, uint64_t seed, std::stop_token stop);

}  // namespace induct::analysis
