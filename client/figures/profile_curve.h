// The profile: the curve over layers, its band, its peak and its centroid.
#pragma once

#include "client/figures/figure.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

Figure ProfileCurveFigure(const v1::Profile& profile, const std::string& title_model);

}  // namespace induct::client
