#include "client/figures/spread.h"

#include <cstddef>

namespace induct::client {

// After subtracting i * gap the positions have only to rise: isotonic regression, by pooling neighbours that
// do not.
std::vector<double> Spread(const std::vector<double>& wanted, double gap) {
  struct Pool {
    double sum;
    size_t size;
    double mean() const { return sum / static_cast<double>(size); }
  };
  std::vector<Pool> pools;
  for (size_t i = 0; i < wanted.size(); ++i) {
    Pool pool{wanted[i] - static_cast<double>(i) * gap, 1};
    while (!pools.empty() && pools.back().mean() > pool.mean()) {
      pool = {pool.sum + pools.back().sum, pool.size + pools.back().size};
      pools.pop_back();
    }
    pools.push_back(pool);
  }
  std::vector<double> positions;
  for (const Pool& pool : pools) {
    for (size_t i = 0; i < pool.size; ++i)
      positions.push_back(pool.mean() + static_cast<double>(positions.size()) * gap);
  }
  return positions;
}

}  // namespace induct::client
