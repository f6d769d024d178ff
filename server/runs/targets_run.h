// The job of a TargetsSpec: the user's own readout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/analysis/targets.h"
#include "server/runs/run.h"

namespace induct::runs {

// A detector as it is asked for. The token of kToken is found once there is a tokenizer: what `text` is.
struct AskedDetector {
  analysis::Detector detector;
  std::string text;
};

// What a targets run found; scores are artifacts of their own.
struct TargetsFindings {
  analysis::TargetsResult result;
  analysis::TargetsOptions options;
  std::vector<std::string> files;  // of each group's scores
};

// Scores of a group as an artifact: targets_<model>_<group>.npy. Distinct for distinct groups of one run.
std::vector<std::string> TargetFiles(const std::string& model, const std::vector<std::string>& groups);

// `environment` must outlive what is returned. `targets` has no detectors: they are `detectors`.
std::unique_ptr<jobs::Work> NewTargetsRun(RunRequest request, analysis::TargetsOptions targets,
                                          std::vector<AskedDetector> detectors,
                                          ResultEncoder<TargetsFindings> encode,
                                          const RunEnvironment& environment);

}  // namespace induct::runs
