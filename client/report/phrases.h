// How a report writes numbers and names, beside client/figures/captions.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "client/figures/captions.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// "0.625".
std::string Value(double value);
// "+0.031", "-0.154".
std::string Signed(double value);
// " [0.480, 0.560]", or nothing where there is no interval: of messages with optional ci_low and ci_high, and
// of bootstrap estimates.
template <typename Message>
std::string OptionalInterval(const Message& message) {
  return message.has_ci_low() && message.has_ci_high() ? IntervalText(message.ci_low(), message.ci_high())
                                                       : "";
}
std::string OptionalInterval(bool there, const v1::BootstrapEstimate& estimate);
// "layer 2 head 5".
std::string HeadName(uint32_t layer, uint32_t head);
// The limit that few prompts are: `what` rests on them.
std::string FewPrompts(const std::string& what, uint64_t n_prompts);
// "a", "a and b", "a, b and c".
std::string Enumeration(const std::vector<std::string>& items);

}  // namespace induct::client
