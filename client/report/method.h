// What a report says of how its runs were made: models, definitions, settings, seeds, hardware.
#pragma once

#include <vector>

#include "client/report/document.h"
#include "client/saved_run.h"

namespace induct::client {

Section ModelsSection(const std::vector<SavedRun>& runs);
Section MethodSection(const std::vector<SavedRun>& runs);

}  // namespace induct::client
