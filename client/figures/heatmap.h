// The heatmap: every head's score, layers upwards.
#pragma once

#include "absl/status/statusor.h"
#include "client/figures/figure.h"
#include "common/npy.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// `scores` is the run's scores_<model>.npy. DATA_LOSS where its shape is not the profile's.
absl::StatusOr<Figure> HeatmapFigure(const v1::Profile& profile, const std::string& title_model,
                                     const FloatArray& scores);

}  // namespace induct::client
