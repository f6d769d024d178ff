// What several kinds' results are checked for when they are read back. Errors are DATA_LOSS.
#pragma once

#include <initializer_list>

#include "absl/status/status.h"
#include "client/kinds.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

using LayerValues = google::protobuf::RepeatedField<double>;

// Lists over layers are as long as the model is deep; optional ones may be empty.
absl::Status CheckLists(ModelSize size, std::initializer_list<const LayerValues*> required,
                        std::initializer_list<const LayerValues*> optional = {});

absl::Status CheckBootstrap(const v1::ProfileBootstrap& bootstrap, ModelSize size);

// The message as what it is known to be.
template <typename Result>
const Result& As(const google::protobuf::Message& message) {
  return dynamic_cast<const Result&>(message);
}

}  // namespace induct::client
