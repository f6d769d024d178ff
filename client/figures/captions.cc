#include "client/figures/captions.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "client/text.h"

namespace induct::client {

std::string MeasuredOn(const v1::Profile& profile) {
  const std::string prompts = Counted(profile.n_prompts(), "prompt");
  if (profile.score() == "previous") {
    return absl::StrCat(prompts, ", ", Counted(profile.n_copy_ops(), "position"), " without an antecedent");
  }
  return absl::StrCat(prompts, ", ", Counted(profile.n_copy_ops(), "copy operation"), ", ",
                      Operations(profile));
}

std::string ScoreOfKeptHeads(const v1::Profile& profile) {
  const std::string score = absl::StrCat(profile.score(), " score of ");
  if (profile.n_heads_kept() == 1) return absl::StrCat(score, "the top head of ", profile.n_heads());
  if (profile.aggregation() == "mean")
    return absl::StrCat("mean ", score, "all ", profile.n_heads(), " heads");
  return absl::StrCat("mean ", score, "the top ", profile.n_heads_kept(), " of ", profile.n_heads(),
                      " heads");
}

const char* ChosenWord(const v1::Causal& causal) { return causal.chosen_by() == "user" ? "chosen" : "top"; }

int HeadsOfEachSet(const v1::ControlArm& control) {
  return control.draws().empty() ? 0 : control.draws(0).heads_size();
}

std::string Operations(const std::string& antecedents, uint32_t min_lag) {
  return absl::StrCat("antecedents ", antecedents, ", lag >= ", min_lag);
}

std::string IntervalText(double low, double high) { return absl::StrFormat(" [%.3f, %.3f]", low, high); }

std::string LagRange(const v1::LagBucket& bucket) {
  if (bucket.max_lag() == 0) return absl::StrCat("lag >= ", bucket.min_lag());
  return absl::StrCat("lag ", bucket.min_lag(), " to ", bucket.max_lag());
}

int StrongestHead(const v1::AntecedentNull& null) {
  const auto& effects = null.effect().values();
  const auto& p = null.p_adjusted().values();
  const bool any_significant =
      std::any_of(p.begin(), p.end(), [](double each) { return each <= kSignificant; });
  int best = -1;
  for (int i = 0; i < effects.size(); ++i) {
    if (any_significant && p.Get(i) > kSignificant) continue;
    if (best < 0 || effects.Get(i) > effects.Get(best)) best = i;
  }
  return best;
}

std::string PText(double p) { return absl::StrFormat("p = %.2g", p); }

int TickStep(int n, int most) {
  for (int scale = 1;; scale *= 10) {
    for (const int step : {1, 2, 4, 5, 8}) {
      if (n <= step * scale * most) return step * scale;
    }
  }
}

double TickDistance(double range, int most) {
  const double least = range / std::max(most, 2);
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= least) return digit * power;
  }
  return 10 * power;
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

std::vector<std::string> Wrapped(const std::string& text, size_t width) {
  std::vector<std::string> lines(1);
  const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
  for (const std::string& long_word : words) {
    const std::string word = Shortened(long_word, width);
    const bool fits = DisplayWidth(lines.back()) + 1 + DisplayWidth(word) <= width;
    if (!lines.back().empty() && !fits) lines.emplace_back();
    absl::StrAppend(&lines.back(), lines.back().empty() ? "" : " ", word);
  }
  return lines;
}

}  // namespace induct::client
