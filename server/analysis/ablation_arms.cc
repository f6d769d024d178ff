#include "server/analysis/ablation_arms.h"

#include <algorithm>
#include <utility>

namespace induct::analysis {
namespace {

// (1 + draws whose delta is at least as bad for copying as top_k's) / (1 + draws). REQUIRES: the metric has
// positions.
double PValue(const std::vector<AblationArm>& draws, const AblationArm& top_k, Metric metric) {
  const double own = top_k.delta.of(metric)->value;
  const auto reached = std::count_if(draws.begin(), draws.end(), [&](const AblationArm& draw) {
    const double delta = draw.delta.of(metric)->value;
    return metric == Metric::kCopyAccuracy ? delta <= own : delta >= own;
  });
  return (1.0 + static_cast<double>(reached)) / (1.0 + static_cast<double>(draws.size()));
}

OfMetrics<double> MeanDelta(const std::vector<AblationArm>& draws) {
  OfMetrics<double> mean;
  for (const Metric metric : kMetrics) {
    if (!draws[0].delta.of(metric)) continue;
    double sum = 0;
    for (const AblationArm& draw : draws) sum += draw.delta.of(metric)->value;
    mean.of(metric) = sum / static_cast<double>(draws.size());
  }
  return mean;
}

}  // namespace

AblationArm MakeArm(const MetricTable& table, std::vector<engine::Head> heads, size_t variant) {
  AblationArm arm{.heads = std::move(heads)};
  const auto of = [&](Metric metric) -> const MetricOfVariants& {
    return table[static_cast<size_t>(metric)];
  };
  for (const Metric metric : kMetrics) {
    if (of(metric).n_positions == 0) continue;
    arm.metrics.of(metric) = of(metric).values[variant];
    if (variant > 0) arm.delta.of(metric) = of(metric).deltas[variant];
  }
  arm.metrics.n_predictable = of(Metric::kCopyNll).n_positions;
  arm.metrics.n_other = of(Metric::kOtherNll).n_positions;
  arm.metrics.n_control = of(Metric::kControlNll).n_positions;
  return arm;
}

ControlArm MakeControl(const MetricTable& table, const ControlDraws& draws, std::span<const size_t> variants,
                       const AblationArm& top_k) {
  ControlArm control{.n_possible = draws.n_possible, .reason = draws.reason};
  for (size_t i = 0; i < variants.size(); ++i) {
    control.draws.push_back(MakeArm(table, draws.sets[i], variants[i]));
  }
  if (control.draws.empty()) return control;
  control.delta_mean = MeanDelta(control.draws);
  control.smallest_p = 1.0 / (1.0 + static_cast<double>(control.draws.size()));
  const bool same_size = control.draws[0].heads.size() == top_k.heads.size();
  if (!same_size || top_k.metrics.n_predictable == 0) return control;
  control.p_copy_nll = PValue(control.draws, top_k, Metric::kCopyNll);
  control.p_copy_accuracy = PValue(control.draws, top_k, Metric::kCopyAccuracy);
  return control;
}

std::optional<AblationCheck> CheckAgainstRandom(const AblationArm& top_k, const ControlArm& random_k) {
  if (!random_k.delta_mean.copy_accuracy) return std::nullopt;
  AblationCheck check{.delta_top = top_k.delta.copy_accuracy->value,
                      .delta_rand = *random_k.delta_mean.copy_accuracy};
  check.delta_top_below_delta_rand = check.delta_top < check.delta_rand;
  return check;
}

}  // namespace induct::analysis
