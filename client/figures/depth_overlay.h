// Several curves over relative depth in one figure: what models, or lags, are compared by.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/figures/figure.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

struct DepthCurve {
  std::string name;                // in the CSV; needs no quotes there
  std::string label;               // in the key
  std::vector<double> values;      // by layer; empty: the curve is only named in the key
  v1::LayerBand band;              // empty: none
  std::optional<int> peak;         // layer that gets a mark
  std::optional<double> centroid;  // relative depth that gets a line
};

// The title is the caller's to set. The curves stay apart in colour, dashes and points.
Figure DepthOverlayFigure(const std::string& name, const std::vector<DepthCurve>& curves,
                          const std::string& value_label);

}  // namespace induct::client
