// Random sets of heads that top heads are compared with. They may hold top heads: only then is the set of top
// heads like any other where it makes no difference which heads are ablated. Definition: docs/method.md,
// "Causal ablation".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "server/engine/engine.h"

namespace induct::analysis {

struct ControlDraws {
  std::vector<std::vector<engine::Head>> sets;  // no two the same, none that of the top heads; heads rising
  double n_possible = 0;  // different sets that there are: exact below 2^53, at most the largest double
  std::string reason;     // why there are no sets, or fewer than asked; else empty
};

// The heads that draws are made from, and how many sets.
struct DrawOptions {
  uint32_t n_layers = 0, n_heads = 0;
  std::span<const engine::Head> top_heads;  // each in the model, none twice
  uint32_t draws = 20;                      // >= 1; where fewer sets exist, all of them
  uint64_t seed = 0;
};

// Sets of `set_size` heads. Draws from Random(seed, "causal_random").
ControlDraws DrawRandomSets(const DrawOptions& options, uint32_t set_size);

// Sets with as many heads in each layer as the top heads. Draws from Random(seed, "causal_matched").
ControlDraws DrawMatchedSets(const DrawOptions& options);

}  // namespace induct::analysis
