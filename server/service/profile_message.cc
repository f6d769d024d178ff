// Profiles and prompts as messages.
#include "server/service/messages.h"

namespace induct::service {
namespace {

void SetBand(std::span<const analysis::Interval> intervals, auto* low, auto* high) {
  for (const analysis::Interval& interval : intervals) {
    low->Add(interval.low);
    high->Add(interval.high);
  }
}

v1::BootstrapEstimate ToMessage(const analysis::Estimate& estimate) {
  v1::BootstrapEstimate message;
  message.set_mean(estimate.mean);
  message.set_ci_low(estimate.interval.low);
  message.set_ci_high(estimate.interval.high);
  return message;
}

void SetStatistics(const analysis::LayerStatistics& statistics, v1::Profile* message) {
  message->set_peak_layer(statistics.peak_layer);
  message->set_peak_rel(statistics.peak_rel);
  message->set_peak_depth(statistics.peak_depth);
  if (statistics.centroid_rel) message->set_centroid_rel(*statistics.centroid_rel);
  if (statistics.bandwidth) message->set_bandwidth(*statistics.bandwidth);
  if (statistics.bandwidth_interpolated)
    message->set_bandwidth_interpolated(*statistics.bandwidth_interpolated);
  if (statistics.centroid_above_background)
    message->set_centroid_above_background(*statistics.centroid_above_background);
  if (statistics.bandwidth_above_background)
    message->set_bandwidth_above_background(*statistics.bandwidth_above_background);
}

v1::TopHead ToMessage(const analysis::TopHead& head) {
  v1::TopHead message;
  message.set_layer(head.layer);
  message.set_head(head.head);
  message.set_score(head.score);
  if (head.interval) {
    message.set_ci_low(head.interval->low);
    message.set_ci_high(head.interval->high);
  }
  return message;
}

}  // namespace

v1::ProfileBootstrap ToBootstrap(const analysis::BootstrapResult& bootstrap, uint32_t n_layers,
                                 uint32_t n_heads) {
  v1::ProfileBootstrap message;
  message.set_resamples(bootstrap.resamples);
  SetBand(bootstrap.per_layer, message.mutable_per_layer()->mutable_ci_low(),
          message.mutable_per_layer()->mutable_ci_high());
  for (v1::HeadMatrix* matrix :
       {message.mutable_heads()->mutable_ci_low(), message.mutable_heads()->mutable_ci_high()}) {
    matrix->set_n_layers(n_layers);
    matrix->set_n_heads(n_heads);
  }
  SetBand(bootstrap.heads, message.mutable_heads()->mutable_ci_low()->mutable_values(),
          message.mutable_heads()->mutable_ci_high()->mutable_values());
  message.mutable_peak_layer_frequency()->Assign(bootstrap.peak_layer_frequency.begin(),
                                                 bootstrap.peak_layer_frequency.end());
  *message.mutable_peak_depth() = ToMessage(bootstrap.peak_depth);
  *message.mutable_centroid_rel() = ToMessage(bootstrap.centroid_rel);
  *message.mutable_bandwidth_interpolated() = ToMessage(bootstrap.bandwidth_interpolated);
  return message;
}

v1::Profile ToMessage(const std::string& model, const analysis::ProfileResult& result) {
  v1::Profile message;
  message.set_model(model);
  message.set_score(std::string(analysis::ScoreKindName(result.options.score)));
  message.set_antecedents(std::string(analysis::AntecedentsName(result.options.antecedents)));
  message.set_min_lag(result.options.min_lag);
  message.set_aggregation(std::string(analysis::AggregationName(result.options.aggregation)));
  message.set_high_score_quantile(result.options.high_score_quantile);
  message.set_n_layers(result.n_layers);
  message.set_n_heads(result.n_heads);
  message.set_n_heads_kept(result.n_heads_kept);
  message.set_n_prompts(result.n_prompts);
  message.set_n_copy_ops(static_cast<uint32_t>(result.n_copy_ops));
  message.mutable_per_layer()->Assign(result.per_layer.begin(), result.per_layer.end());
  if (result.statistics) SetStatistics(*result.statistics, &message);
  for (const analysis::TopHead& head : result.top_heads) *message.add_top_heads() = ToMessage(head);
  if (result.bootstrap)
    *message.mutable_bootstrap() = ToBootstrap(*result.bootstrap, result.n_layers, result.n_heads);
  return message;
}

v1::Prompt ToMessage(const analysis::Prompt& prompt) {
  v1::Prompt message;
  message.set_task(prompt.task);
  message.set_lag(prompt.lag);
  if (!prompt.text.empty()) message.set_text(prompt.text);
  message.mutable_token_ids()->Assign(prompt.tokens.begin(), prompt.tokens.end());
  message.set_n_bos(prompt.n_bos);
  return message;
}

}  // namespace induct::service
