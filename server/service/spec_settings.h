// Specs and settings are the same keys: a spec's fields are checked against the table of settings and filled
// in from the server's, by protobuf reflection, so that a new setting is a row in the table and a
// field in the contract.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/settings.h"
#include "induct/v1/analyses.pb.h"
#include "induct/v1/server_service.pb.h"

namespace induct::service {

// Checks every setting that the spec sets, and sets every other one to the server's value.
// INVALID_ARGUMENT naming the field. REQUIRES: the spec has an analysis.
absl::Status ResolveSettings(const Settings& server, v1::JobSpec* spec);

// The server's values alone.
v1::SpecDefaults DefaultsOf(const Settings& server);

}  // namespace induct::service
