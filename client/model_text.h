// Models as the terminal shows them.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "induct/v1/model_service.pb.h"

namespace induct::client {

// "410M", "1.01B"; below 1000 the number itself.
std::string CountText(double count);

// "812 B", "1.62 GB": decimal units, as disks and hubs have them.
std::string BytesText(double bytes);

// A table with a row a model (L x H: layers and heads), at most 100 columns wide unless a name takes more
// than 41 of them; below it a sentence for each model that can't be used.
std::string ModelTable(const v1::ListModelsResponse& models, absl::Time now);

// What is known of one model, a line each.
std::string ModelDescription(const v1::Model& model, absl::Time now);

}  // namespace induct::client
