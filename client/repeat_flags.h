// How a run is repeated with its config.yaml.
#pragma once

#include <string>
#include <vector>

#include "induct/v1/analyses.pb.h"

namespace induct::client {

// Flags that repeat the run of a spec, as the server resolved it, with its config.yaml, from another folder
// than its own, which they call RUN: files for what was given, what is no setting, and `labels` where they
// are other than the models' names. `first_model` as the server named its files. Empty where the settings
// alone do. One line of text that a shell reads. REQUIRES: KindOfSpec knows the spec.
std::string FlagsToRepeat(const v1::JobSpec& spec, const std::string& first_model,
                          const std::vector<std::string>& labels);

}  // namespace induct::client
