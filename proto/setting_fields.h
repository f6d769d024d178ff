// Settings as a request carries them. The way from a setting's path to its field is a rule, not a list:
// "prompts.x" is RunProfileRequest.prompts.x, and a path without a group stands in `run`. Client and server
// both go by it.
#pragma once

#include <string>
#include <vector>

#include "common/settings.h"
#include "induct/v1/profile.pb.h"

namespace induct {

// The request's values for this setting, in the form that CheckSetting takes; empty where the field is not
// set. REQUIRES, here and below: key.owner is SettingOwner::kRequest.
std::vector<std::string> ReadSettingField(const SettingKey& key, const v1::RunProfileRequest& request);

// Sets the field. REQUIRES: the values passed CheckSetting, so that they are of the field's type and in its
// range.
void WriteSettingField(const SettingKey& key, const std::vector<std::string>& values,
                       v1::RunProfileRequest* request);

}  // namespace induct
