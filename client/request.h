// A request made of settings, and the settings that one holds. Which field is which setting:
// proto/setting_fields.h.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/settings.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// Puts the request settings that are set into `request`; the others stay unset, which means the server's
// default.
void FillRequest(const Settings& settings, v1::RunProfileRequest* request);

// Random sets of as many heads as are ablated, which alone have a p, where the user says how many are ablated
// and nowhere how many a random set has.
void MatchRandomSets(const Settings& settings, v1::CausalRequest* request);

// Every request setting that `request` holds. INVALID_ARGUMENT where a value is outside the setting's range.
absl::StatusOr<Settings> SettingsOfRequest(const v1::RunProfileRequest& request);

// A random UUID (version 4).
std::string NewRequestId();

}  // namespace induct::client
