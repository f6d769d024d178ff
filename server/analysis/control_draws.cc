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

// The heads of each layer that are not top heads; a set takes as many as the layer has top heads.
std::vector<Pool> PoolsOfLayers(const DrawOptions& options) {
  std::vector<Pool> pools(options.n_layers);
  const std::set<engine::Head> top(options.top_heads.begin(), options.top_heads.end());
  for (uint32_t layer = 0; layer < options.n_layers; ++layer) {
    for (uint32_t head = 0; head < options.n_heads; ++head) {
      if (!top.contains({layer, head})) pools[layer].heads.push_back({layer, head});
    }
    pools[layer].size = options.n_heads - pools[layer].heads.size();
  }
  return pools;
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

double CountSets(std::span<const Pool> pools) {
  double count = 1;
  for (const Pool& pool : pools) {
    const double of_pool = Binomial(pool.heads.size(), pool.size);
    if (of_pool == 0) return 0;  // before a product that may have reached infinity
    count = std::min(count * of_pool, std::numeric_limits<double>::max());
  }
  return count;
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

ControlDraws DrawSets(std::span<const Pool> pools, uint32_t draws, Random random) {
  ControlDraws result{.n_possible = CountSets(pools)};
  if (result.n_possible == 0) return result;
  if (result.n_possible < 2.0 * draws) {  // most draws would repeat a set
    result.sets = AllSets(pools);
    random.Shuffle(result.sets);
    if (result.sets.size() > draws) result.sets.resize(draws);
  } else {
    std::set<DrawnHeads> seen;
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

}  // namespace

ControlDraws DrawRandomSets(const DrawOptions& options, uint32_t set_size) {
  Pool pool{.size = set_size};
  for (const Pool& layer : PoolsOfLayers(options)) {
    pool.heads.insert(pool.heads.end(), layer.heads.begin(), layer.heads.end());
  }
  ControlDraws result = DrawSets({&pool, 1}, options.draws, Random(options.seed, "causal_random"));
  if (result.sets.empty()) {
    result.reason = absl::StrCat("there are ", pool.heads.size(),
                                 " heads besides the top heads, so no set of ", set_size, " exists");
  }
  return result;
}

ControlDraws DrawMatchedSets(const DrawOptions& options) {
  const std::vector<Pool> pools = PoolsOfLayers(options);
  ControlDraws result = DrawSets(pools, options.draws, Random(options.seed, "causal_matched"));
  if (result.sets.empty()) {
    const auto full = std::find_if(pools.begin(), pools.end(),
                                   [](const Pool& pool) { return pool.size > pool.heads.size(); });
    result.reason = absl::StrCat("layer ", full - pools.begin(), " has ", full->size, " top heads among its ",
                                 options.n_heads, ", which leaves too few for another set with as many");
  }
  return result;
}

}  // namespace induct::analysis
