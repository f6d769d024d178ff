// Specs of jobs: checks and defaults, whatever the kind. What is a kind's own: job_kind.h.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/dtype.h"
#include "common/settings.h"
#include "induct/v1/analyses.pb.h"
#include "server/runs/run.h"

namespace induct::service {

// What a server allows and has, as far as specs meet it.
struct SpecLimits {
  uint32_t max_prompts = 100000;
  std::vector<DType> dtypes;
  std::string device;  // resolved name; decides what dtype `auto` is
  int64_t activation_budget = int64_t{4} << 30;
};

// Checks the spec and fills in what it leaves open: every setting, the dtype that `auto` means, the tasks of
// given prompts. INVALID_ARGUMENT naming the field for anything that can be told without the model.
absl::Status Resolve(const Settings& server, const SpecLimits& limits, v1::JobSpec* spec);

using GivenPromptMessages = google::protobuf::RepeatedPtrField<v1::Prompt>;

// INVALID_ARGUMENT naming `field` where there are too many prompts or one is none.
absl::Status CheckGivenPrompts(const char* field, const GivenPromptMessages& prompts,
                               const SpecLimits& limits);
std::vector<runs::GivenPrompt> GivenPrompts(const GivenPromptMessages& prompts);

// What a run of the spec begins with. REQUIRES: the spec is resolved.
runs::RunRequest FromMessage(const v1::JobSpec& spec, const SpecLimits& limits);

}  // namespace induct::service
