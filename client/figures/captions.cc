#include "client/figures/captions.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "client/text.h"

namespace induct::client {

std::string MeasuredOn(const v1::Profile& profile) {
  return absl::StrCat(Counted(profile.n_prompts(), "prompt"), ", ",
                      Counted(profile.n_copy_ops(), "copy operation"), ", antecedents ",
                      profile.antecedents(), ", lag >= ", profile.min_lag());
}

int TickStep(int n, int most) {
  for (int scale = 1;; scale *= 10) {
    for (const int step : {1, 2, 4, 5, 8}) {
      if (n <= step * scale * most) return step * scale;
    }
  }
}

std::string Shortened(const std::string& text, size_t width) {
  if (DisplayWidth(text) <= width) return text;
  const auto is_start = [&](size_t i) { return (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80; };
  size_t head = std::min(text.size(), width / 2);
  while (head > 0 && !is_start(head)) --head;
  size_t tail = text.size() - std::min(text.size(), width - width / 2 - 1);
  while (tail < text.size() && !is_start(tail)) ++tail;
  return absl::StrCat(text.substr(0, head), "…", text.substr(tail));
}

}  // namespace induct::client
