// Places for labels that would overlap where they belong.
#pragma once

#include <vector>

namespace induct::client {

// `wanted` positions, rising, moved as little as can be (least squares) so that neighbours are `gap` apart.
std::vector<double> Spread(const std::vector<double>& wanted, double gap);

}  // namespace induct::client
