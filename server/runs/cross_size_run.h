// The job of a CrossSizeSpec: the same texts through every model, one after another.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/analysis/cross_size.h"
#include "server/runs/run.h"

namespace induct::runs {

// Two models of a cross-size run.
struct ModelPair {
  std::string model_a, model_b;  // file names
  analysis::ProfileComparison comparison;
};
struct CrossSizeResult {
  std::vector<std::string> models;  // file names
  std::vector<ModelPair> pairs;     // every two, in the models' order
};

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewCrossSizeRun(RunRequest request, ResultEncoder<CrossSizeResult> encode,
                                            const RunEnvironment& environment);

}  // namespace induct::runs
