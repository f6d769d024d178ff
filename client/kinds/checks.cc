#include "client/kinds/checks.h"

namespace induct::client {

absl::Status CheckLists(ModelSize size, std::initializer_list<const LayerValues*> required,
                        std::initializer_list<const LayerValues*> optional) {
  const auto wrong = [&](const LayerValues& list) { return list.size() != static_cast<int>(size.n_layers); };
  for (const LayerValues* list : required) {
    if (wrong(*list)) return absl::DataLossError("a list over layers has another length than the model");
  }
  for (const LayerValues* list : optional) {
    if (!list->empty() && wrong(*list))
      return absl::DataLossError("a list over layers has another length than the model");
  }
  return absl::OkStatus();
}

absl::Status CheckBootstrap(const v1::ProfileBootstrap& bootstrap, ModelSize size) {
  return CheckLists(size, {&bootstrap.per_layer().ci_low(), &bootstrap.per_layer().ci_high()},
                    {&bootstrap.peak_layer_frequency()});
}

}  // namespace induct::client
