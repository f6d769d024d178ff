// A spec made of settings, and the settings that one holds. Which field is which setting:
// proto/setting_fields.h.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/settings.h"
#include "induct/v1/analyses.pb.h"

namespace induct::client {

// Puts the request settings that are set into the spec; the others stay unset, which means the server's
// default. REQUIRES, here and of SettingsOfSpec: the spec has an analysis.
void FillSpec(const Settings& settings, v1::JobSpec* spec);

// Every request setting that the spec holds. INVALID_ARGUMENT where a value is outside the setting's range.
absl::StatusOr<Settings> SettingsOfSpec(const v1::JobSpec& spec);

// A random UUID (version 4).
std::string NewRequestId();

}  // namespace induct::client
