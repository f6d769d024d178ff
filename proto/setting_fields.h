// Settings as a job's spec carries them. The way from a setting's path to its field is a rule, not a list:
// "prompts.x" is ProfileSpec.prompts.x, "job.x" is JobSpec.options.x, and a path without a group stands in
// `run`. Client and server both go by it.
#pragma once

#include <string>
#include <vector>

#include "common/settings.h"
#include "induct/v1/analyses.pb.h"

namespace induct {

// The spec's values for this setting, in the form that CheckSetting takes; empty where the field is not set.
// REQUIRES, here and below: key.owner is SettingOwner::kRequest, and the spec has an analysis.
std::vector<std::string> ReadSettingField(const SettingKey& key, const v1::JobSpec& spec);

// Sets the field. REQUIRES: the values passed CheckSetting, so that they are of the field's type and in its
// range.
void WriteSettingField(const SettingKey& key, const std::vector<std::string>& values, v1::JobSpec* spec);

}  // namespace induct
