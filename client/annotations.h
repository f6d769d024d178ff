// What the client writes into the annotations of its jobs, which the server keeps and never reads: with them
// a run directory can be made anew from the server alone.
#pragma once

#include <string>
#include <vector>

#include "induct/v1/analyses.pb.h"

namespace induct::client {

// Puts the client's command and version into the spec, and `labels` where there are any.
void SetAnnotations(const std::string& command, const std::vector<std::string>& labels, v1::JobSpec* spec);

// The command that the spec was made by. Of a spec without one, or with one that does not make its kind: the
// kind.
std::string CommandOf(const v1::JobSpec& spec);

// What figures and the report call the spec's models, one each: its labels, else the models' names.
std::vector<std::string> LabelsOf(const v1::JobSpec& spec, const std::vector<std::string>& models);

}  // namespace induct::client
