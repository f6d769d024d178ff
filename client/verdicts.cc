#include "client/verdicts.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "client/figures/captions.h"
#include "client/kinds.h"
#include "client/text.h"

namespace induct::client {
namespace {

// A rank among the sets drawn, no more. `harms`: whether the ablated heads' own change is for the worse.
std::string RankText(const char* metric, const std::string& sets, double p, uint64_t n_draws, bool harms) {
  const auto n_reached = static_cast<uint64_t>(std::llround(p * static_cast<double>(1 + n_draws))) - 1;
  const std::string drawn = absl::StrCat(Counted(n_draws, "set"), sets.empty() ? "" : " of ", sets, " drawn");
  const std::string more =
      absl::StrCat("by ", metric, harms ? " it harms copying more than " : " it leaves copying worse than ");
  if (n_reached == 0) {
    return absl::StrCat(more, n_draws == 1 ? "the " : "each of the ", drawn, " (", PText(p),
                        ", the smallest possible",
                        p <= kSignificant ? "" : "; there are too few for p <= 0.05", ")");
  }
  if (p <= kSignificant)
    return absl::StrCat(more, "all but ", n_reached, " of the ", drawn, " (", PText(p), ")");
  return absl::StrCat("by ", metric, " nothing was found: ", Grouped(n_reached), " of the ", drawn,
                      n_reached == 1 ? " leaves" : " leave", " copying as bad or worse (", PText(p), ")");
}

}  // namespace

bool HasIntervals(const SavedRun& run) {
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.has_intervals == nullptr) continue;
    for (const ShownResult& of : ResultsOf(kind, run)) {
      if (kind.has_intervals(*ResultOf(kind, of))) return true;
    }
  }
  return false;
}

ControlVerdict VerdictOf(const v1::Causal& causal, const v1::ControlArm& arm, const std::string& sets) {
  const auto n_draws = static_cast<uint64_t>(arm.draws_size());
  const v1::AblationDelta& delta = causal.top_k().delta();
  const double p_nll = arm.p_copy_nll(), p_accuracy = arm.p_copy_accuracy();
  return {.copy_nll = RankText("copy NLL", sets, p_nll, n_draws, delta.copy_nll().value() > 0),
          .copy_accuracy =
              RankText("copy accuracy", sets, p_accuracy, n_draws, delta.copy_accuracy().value() < 0),
          .metrics_disagree = (p_nll <= kSignificant) != (p_accuracy <= kSignificant)};
}

bool HasPs(const v1::ControlArm& arm) { return arm.has_p_copy_nll() && arm.has_p_copy_accuracy(); }

bool IsPrimary(const v1::Causal& causal, const v1::ControlArm& arm) {
  return HasPs(arm) && (&arm == &causal.matched_k() || !HasPs(causal.matched_k()));
}

std::string DifferenceVerdict(const v1::PairedDifference& difference, const std::string& layer) {
  if (!difference.has_equivalent() || !difference.has_ci_low()) return "";
  const bool holds_zero = difference.ci_low() <= 0 && difference.ci_high() >= 0;
  if (difference.equivalent()) {
    return holds_zero ? absl::StrCat("no difference shown; equivalent, within ", layer)
                      : absl::StrCat("differs, by less than ", layer);
  }
  return holds_zero ? absl::StrCat("neither a difference shown nor that it is within ", layer)
                    : absl::StrCat("differs; not shown to be within ", layer);
}

std::string HighestOfAll(const v1::AntecedentNull& null) {
  if (!null.has_effect_ci_low()) return "";
  const auto& lows = null.effect_ci_low().values();
  const auto n_above =
      static_cast<uint64_t>(std::count_if(lows.begin(), lows.end(), [](double low) { return low > 0; }));
  return absl::StrCat("the highest of ", lows.size(), ", its interval not adjusted for that; intervals of ",
                      Counted(n_above, "head"), n_above == 1 ? " lies" : " lie",
                      " above 0, where 1 in 40 would by chance");
}

}  // namespace induct::client
