#include "client/report/phrases.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/text.h"

namespace induct::client {

std::string Value(double value) { return absl::StrFormat("%.3f", value); }

std::string Signed(double value) { return absl::StrFormat("%+.3f", value); }

std::string OptionalInterval(bool there, const v1::BootstrapEstimate& estimate) {
  return there ? IntervalText(estimate.ci_low(), estimate.ci_high()) : "";
}

std::string HeadName(uint32_t layer, uint32_t head) { return absl::StrCat("layer ", layer, " head ", head); }

std::string FewPrompts(const std::string& what, uint64_t n_prompts) {
  return absl::StrCat("Few prompts: ", what, " rests on ", Counted(n_prompts, "prompt"),
                      "; intervals of fewer than ", kFewPrompts,
                      " miss the true value more often than 1 time in 20.");
}

std::string Enumeration(const std::vector<std::string>& items) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i)
    absl::StrAppend(&text, i == 0 ? "" : i + 1 == items.size() ? " and " : ", ", items[i]);
  return text;
}

}  // namespace induct::client
