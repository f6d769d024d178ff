// The lines that a summary is made of.
#pragma once

#include <string>

#include "absl/strings/str_format.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/nulls.pb.h"

namespace induct::client {

// What, and its value.
inline std::string Row(const std::string& label, const std::string& value) {
  return absl::StrFormat("%-26s%s\n", label, value);
}

inline std::string IntervalInWords(double low, double high) {
  return absl::StrFormat(" (95 %% interval %.3f to %.3f)", low, high);
}

// Of a message with optional ci_low and ci_high.
template <typename Message>
std::string OptionalIntervalInWords(const Message& message) {
  return message.has_ci_low() && message.has_ci_high() ? IntervalInWords(message.ci_low(), message.ci_high())
                                                       : "";
}

// Those of a model called `label`, its first line included.
std::string NullsRows(const std::string& label, const v1::Nulls& nulls);
std::string AblationRows(const std::string& label, const v1::Causal& causal);

}  // namespace induct::client
