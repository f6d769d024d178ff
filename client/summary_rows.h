// The lines that a summary is made of.
#pragma once

#include <string>

#include "absl/strings/str_format.h"

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

}  // namespace induct::client
