#include "server/analysis/control_draws.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

using DrawnHeads = std::vector<engine::Head>;

// A set takes `size` of these heads.
struct Pool {
  DrawnHeads heads;  // rising
  size_t size = 0;
};

DrawnHeads HeadsOfLayer(const DrawOptions& options, uint32_t layer) {
  DrawnHeads heads;
  for (uint32_t head = 0; head < options.n_heads; ++head) heads.push_back({layer, head});
  return heads;
}

// n over k: exact below 2^53, since the values on the way rise to it.
double Binomial(size_t n, size_t k) {
  if (k > n) return 0;
  constexpr double kExact = uint64_t{1} << 53;
  double value = 1;
  k = std::min(k, n - k);
  for (size_t i = 1; i <= k; ++i) {
    const size_t factor = n - k + i;
    value = value < kExact ? static_cast<double>(static_cast<unsigned __int128>(value) * factor / i)
                           : value / static_cast<double>(i) * static_cast<double>(factor);
  }
  return value;
}

// The sets that there are, without `top`, where that is one of them.
double CountSets(std::span<const Pool> pools, const DrawnHeads& top) {
  double count = 1;
  size_t size = 0;
  for (const Pool& pool : pools) {
    const double of_pool = Binomial(pool.heads.size(), pool.size);
    if (of_pool == 0) return 0;  // before a product that may have reached infinity
    count = std::min(count * of_pool, std::numeric_limits<double>::max());
    size += pool.size;
  }
  return size == top.size() ? count - 1 : count;
}

DrawnHeads DrawSet(std::span<const Pool> pools, Random& random) {
  DrawnHeads set;
  for (const Pool& pool : pools) {
    DrawnHeads heads = pool.heads;
    for (size_t i = 0; i < pool.size; ++i) {
      std::swap(heads[i], heads[i + random.Below(heads.size() - i)]);
      set.push_back(heads[i]);
    }
  }
  std::sort(set.begin(), set.end());
  return set;
}

// Every set there is.
std::vector<DrawnHeads> AllSets(std::span<const Pool> pools) {
  std::vector<DrawnHeads> sets = {{}};
  for (const Pool& pool : pools) {
    std::vector<bool> chosen(pool.heads.size());
    std::fill_n(chosen.begin(), pool.size, true);
    std::vector<DrawnHeads> extended;
    do {
      for (DrawnHeads set : sets) {
        for (size_t i = 0; i < chosen.size(); ++i) {
          if (chosen[i]) set.push_back(pool.heads[i]);
        }
        extended.push_back(std::move(set));
      }
    } while (std::prev_permutation(chosen.begin(), chosen.end()));
    sets = std::move(extended);
  }
  return sets;
}

// REQUIRES: `top` rises; where it is as large as a set, it takes as many heads of each pool as a set does.
ControlDraws DrawSets(std::span<const Pool> pools, const DrawnHeads& top, uint32_t draws, Random random) {
  ControlDraws result{.n_possible = CountSets(pools, top)};
  if (result.n_possible == 0) return result;
  if (result.n_possible < 2.0 * draws) {  // most draws would repeat a set
    result.sets = AllSets(pools);
    std::erase(result.sets, top);
    random.Shuffle(result.sets);
    if (result.sets.size() > draws) result.sets.resize(draws);
  } else {
    std::set<DrawnHeads> seen = {top};
    while (result.sets.size() < draws) {
      const auto [set, is_new] = seen.insert(DrawSet(pools, random));
      if (is_new) result.sets.push_back(*set);
    }
  }
  if (result.sets.size() < draws) {
    result.reason = absl::StrCat(draws, " different sets were asked for, ", result.sets.size(),
                                 result.sets.size() == 1 ? " exists" : " exist");
  }
  return result;
}

DrawnHeads Rising(std::span<const engine::Head> heads) {
  DrawnHeads rising(heads.begin(), heads.end());
  std::sort(rising.begin(), rising.end());
  return rising;
}

}  // namespace

ControlDraws DrawRandomSets(const DrawOptions& options, uint32_t set_size) {
  Pool pool{.size = set_size};
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    const DrawnHeads of_layer = HeadsOfLayer(options, layer);
    pool.heads.insert(pool.heads.end(), of_layer.begin(), of_layer.end());
  }
  ControlDraws result =
      DrawSets({&pool, 1}, Rising(options.top_heads), options.draws, Random(options.seed, "causal_random"));
  if (result.sets.empty()) {
    result.reason = absl::StrCat("the model has ", pool.heads.size(), " heads, so no set of ", set_size,
                                 " exists but the top heads");
  }
  return result;
}

ControlDraws DrawMatchedSets(const DrawOptions& options) {
  std::vector<Pool> pools;
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    const auto n_top = std::ranges::count(options.top_heads, layer, &engine::Head::layer);
    pools.push_back({.heads = HeadsOfLayer(options, layer), .size = static_cast<size_t>(n_top)});
  }
  ControlDraws result =
      DrawSets(pools, Rising(options.top_heads), options.draws, Random(options.seed, "causal_matched"));
  if (result.sets.empty())
    result.reason = "the top heads are all heads of their layers, so no other set has as many in each";
  return result;
}

}  // namespace induct::analysis
