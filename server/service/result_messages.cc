// Results but the profile's as messages.
#include "common/file_names.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

v1::PairedDifference ToMessage(const analysis::PairedDifference& pair) {
  v1::PairedDifference message;
  message.set_difference(pair.difference);
  if (pair.interval) {
    message.set_ci_low(pair.interval->low);
    message.set_ci_high(pair.interval->high);
  }
  if (pair.interval90) {
    message.set_ci90_low(pair.interval90->low);
    message.set_ci90_high(pair.interval90->high);
  }
  if (pair.equivalent) message.set_equivalent(*pair.equivalent);
  return message;
}

// Of a value and its interval, where there is one.
v1::IntervalEstimate ToEstimate(const auto& estimate) {
  v1::IntervalEstimate message;
  message.set_value(estimate.value);
  if (estimate.interval) {
    message.set_ci_low(estimate.interval->low);
    message.set_ci_high(estimate.interval->high);
  }
  return message;
}

v1::HeadRef ToMessage(const engine::Head& head) {
  v1::HeadRef message;
  message.set_layer(head.layer);
  message.set_head(head.head);
  return message;
}

std::vector<double> LowEnds(std::span<const analysis::Interval> intervals) {
  std::vector<double> ends;
  for (const analysis::Interval& interval : intervals) ends.push_back(interval.low);
  return ends;
}
std::vector<double> HighEnds(std::span<const analysis::Interval> intervals) {
  std::vector<double> ends;
  for (const analysis::Interval& interval : intervals) ends.push_back(interval.high);
  return ends;
}

void SetHeads(const analysis::NullEffects& heads, uint32_t n_layers, uint32_t n_heads,
              v1::AntecedentNull* message) {
  *message->mutable_observed() = ToMatrix(heads.observed, n_layers, n_heads);
  *message->mutable_null_mean() = ToMatrix(heads.null_mean, n_layers, n_heads);
  *message->mutable_effect() = ToMatrix(heads.effect, n_layers, n_heads);
  if (!heads.intervals.empty()) {
    *message->mutable_effect_ci_low() = ToMatrix(LowEnds(heads.intervals), n_layers, n_heads);
    *message->mutable_effect_ci_high() = ToMatrix(HighEnds(heads.intervals), n_layers, n_heads);
  }
  if (!heads.p_adjusted.empty())
    *message->mutable_p_adjusted() = ToMatrix(heads.p_adjusted, n_layers, n_heads);
}

void Assign(const std::vector<double>& values, google::protobuf::RepeatedField<double>* field) {
  field->Assign(values.begin(), values.end());
}

void SetLayers(const analysis::NullEffects& layers, v1::AntecedentNullLayers* message) {
  Assign(layers.observed, message->mutable_observed());
  Assign(layers.null_mean, message->mutable_null_mean());
  Assign(layers.effect, message->mutable_effect());
  Assign(LowEnds(layers.intervals), message->mutable_effect_ci_low());
  Assign(HighEnds(layers.intervals), message->mutable_effect_ci_high());
  Assign(layers.p_adjusted, message->mutable_p_adjusted());
}

v1::AntecedentNull ToMessage(const analysis::AntecedentNull& null, uint32_t n_layers, uint32_t n_heads) {
  v1::AntecedentNull message;
  message.set_n_copy_ops(static_cast<uint32_t>(null.n_copy_ops));
  message.set_n_dropped(static_cast<uint32_t>(null.n_dropped));
  message.set_n_prompts(null.n_prompts);
  message.set_reason(null.reason);
  if (null.n_copy_ops == 0) return message;
  SetHeads(null.heads, n_layers, n_heads, &message);
  SetLayers(null.layers, message.mutable_layers());
  return message;
}

v1::HeadPermutation ToMessage(const analysis::HeadPermutationResult& permutation) {
  v1::HeadPermutation message;
  message.set_resamples(permutation.resamples);
  message.set_threshold(permutation.threshold);
  Assign(permutation.observed_density, message.mutable_observed_density());
  Assign(permutation.null_mean, message.mutable_null_mean());
  Assign(permutation.band_low, message.mutable_band_low());
  Assign(permutation.band_high, message.mutable_band_high());
  message.set_max_quantile(permutation.max_quantile);
  Assign(permutation.p_adjusted, message.mutable_p_adjusted());
  message.set_reason(permutation.reason);
  if (permutation.depth_spread) {
    message.mutable_depth_spread()->set_observed(permutation.depth_spread->observed);
    message.mutable_depth_spread()->set_null_mean(permutation.depth_spread->null_mean);
    message.mutable_depth_spread()->set_p(permutation.depth_spread->p);
  }
  return message;
}

// What a result says of how its profile was made.
template <typename Message>
void SetOptions(const analysis::ProfileOptions& options, Message* message) {
  message->set_score(std::string(analysis::ScoreKindName(options.score)));
  message->set_antecedents(std::string(analysis::AntecedentsName(options.antecedents)));
  message->set_min_lag(options.min_lag);
}
template <typename Message>
void SetAggregation(const analysis::ProfileOptions& options, Message* message) {
  message->set_aggregation(std::string(analysis::AggregationName(options.aggregation)));
  message->set_high_score_quantile(options.high_score_quantile);
}

v1::AblationMetrics ToMessage(const analysis::AblationMetrics& metrics) {
  v1::AblationMetrics message;
  if (metrics.copy_accuracy) message.set_copy_accuracy(*metrics.copy_accuracy);
  if (metrics.copy_nll) message.set_copy_nll(*metrics.copy_nll);
  if (metrics.other_nll) message.set_other_nll(*metrics.other_nll);
  if (metrics.control_nll) message.set_control_nll(*metrics.control_nll);
  message.set_n_predictable(metrics.n_predictable);
  message.set_n_other(metrics.n_other);
  message.set_n_control(metrics.n_control);
  return message;
}

v1::AblationDelta ToMessage(const analysis::AblationDelta& delta) {
  v1::AblationDelta message;
  if (delta.copy_accuracy) *message.mutable_copy_accuracy() = ToEstimate(*delta.copy_accuracy);
  if (delta.copy_nll) *message.mutable_copy_nll() = ToEstimate(*delta.copy_nll);
  if (delta.other_nll) *message.mutable_other_nll() = ToEstimate(*delta.other_nll);
  if (delta.control_nll) *message.mutable_control_nll() = ToEstimate(*delta.control_nll);
  return message;
}

v1::AblationDeltaMean ToMessage(const analysis::OfMetrics<double>& mean) {
  v1::AblationDeltaMean message;
  if (mean.copy_accuracy) message.set_copy_accuracy(*mean.copy_accuracy);
  if (mean.copy_nll) message.set_copy_nll(*mean.copy_nll);
  if (mean.other_nll) message.set_other_nll(*mean.other_nll);
  if (mean.control_nll) message.set_control_nll(*mean.control_nll);
  return message;
}

v1::AblationArm BaselineMessage(const analysis::AblationArm& baseline) {
  v1::AblationArm message;
  *message.mutable_metrics() = ToMessage(baseline.metrics);
  return message;
}

v1::AblationArm ToMessage(const analysis::AblationArm& arm) {
  v1::AblationArm message;
  for (const engine::Head& head : arm.heads) *message.add_heads() = ToMessage(head);
  *message.mutable_metrics() = ToMessage(arm.metrics);
  *message.mutable_delta() = ToMessage(arm.delta);
  return message;
}

v1::ControlArm ToMessage(const analysis::ControlArm& control) {
  v1::ControlArm message;
  for (const analysis::AblationArm& draw : control.draws) *message.add_draws() = ToMessage(draw);
  if (!control.draws.empty()) *message.mutable_delta_mean() = ToMessage(control.delta_mean);
  if (control.p_copy_nll) message.set_p_copy_nll(*control.p_copy_nll);
  if (control.p_copy_accuracy) message.set_p_copy_accuracy(*control.p_copy_accuracy);
  if (control.smallest_p) message.set_smallest_p(*control.smallest_p);
  message.set_n_possible(control.n_possible);
  message.set_reason(control.reason);
  return message;
}

v1::LagBucket ToMessage(const analysis::LagBucket& bucket, uint32_t n_layers, uint32_t n_heads) {
  v1::LagBucket message;
  message.set_min_lag(bucket.min_lag);
  message.set_max_lag(bucket.max_lag);
  message.set_n_copy_ops(static_cast<uint32_t>(bucket.n_copy_ops));
  if (bucket.n_copy_ops == 0) return message;
  Assign(bucket.per_layer, message.mutable_per_layer());
  *message.mutable_scores() = ToMatrix(bucket.scores, n_layers, n_heads);
  if (bucket.statistics) message.set_peak_depth(bucket.statistics->peak_depth);
  if (bucket.statistics && bucket.statistics->centroid_rel)
    message.set_centroid_rel(*bucket.statistics->centroid_rel);
  if (bucket.statistics && bucket.statistics->centroid_above_background)
    message.set_centroid_above_background(*bucket.statistics->centroid_above_background);
  if (bucket.bootstrap) *message.mutable_bootstrap() = ToBootstrap(*bucket.bootstrap, n_layers, n_heads);
  return message;
}

}  // namespace

v1::CrossSize ToMessage(const std::string&, const runs::CrossSizeResult& result) {
  v1::CrossSize message;
  message.mutable_models()->Assign(result.models.begin(), result.models.end());
  for (const runs::ModelPair& pair : result.pairs) {
    v1::ModelPair& shown = *message.add_pairs();
    const analysis::ProfileComparison& comparison = pair.comparison;
    shown.set_model_a(pair.model_a);
    shown.set_model_b(pair.model_b);
    if (comparison.peak_depth) *shown.mutable_peak_depth() = ToMessage(*comparison.peak_depth);
    if (comparison.centroid_rel) *shown.mutable_centroid_rel() = ToMessage(*comparison.centroid_rel);
    if (comparison.bandwidth_interpolated)
      *shown.mutable_bandwidth_interpolated() = ToMessage(*comparison.bandwidth_interpolated);
    if (comparison.pearson_r) shown.set_pearson_r(*comparison.pearson_r);
    if (comparison.overlap) shown.set_overlap(*comparison.overlap);
  }
  return message;
}

v1::Nulls ToMessage(const std::string& model, const analysis::NullsResult& result) {
  const analysis::ProfileResult& profile = result.profile;
  v1::Nulls message;
  message.set_model(model);
  SetOptions(profile.options, &message);
  SetAggregation(profile.options, &message);
  if (result.shuffled) {
    v1::ShuffledAntecedent& shuffled = *message.mutable_shuffled_antecedent();
    shuffled.set_resamples(result.shuffled->resamples);
    *shuffled.mutable_uniform() = ToMessage(result.shuffled->uniform, profile.n_layers, profile.n_heads);
    *shuffled.mutable_lag_matched() =
        ToMessage(result.shuffled->lag_matched, profile.n_layers, profile.n_heads);
    *shuffled.mutable_same_distance() =
        ToMessage(result.shuffled->same_distance, profile.n_layers, profile.n_heads);
  }
  if (result.permutation) *message.mutable_head_permutation() = ToMessage(*result.permutation);
  return message;
}

v1::Causal ToMessage(const std::string& model, const analysis::CausalResult& result) {
  v1::Causal message;
  message.set_model(model);
  message.set_resamples(result.resamples);
  SetOptions(result.options, &message);
  message.set_ablation(std::string(analysis::AblationName(result.ablation)));
  message.mutable_selection_prompts()->Assign(result.selection_prompts.begin(),
                                              result.selection_prompts.end());
  message.mutable_evaluation_prompts()->Assign(result.evaluation_prompts.begin(),
                                               result.evaluation_prompts.end());
  *message.mutable_selection_scores() = ToMatrix(result.selection_scores, result.n_layers, result.n_heads);
  message.set_chosen_by(result.chosen_by_user ? "user" : "rank");
  for (const engine::Head& head : result.top_heads) *message.add_top_heads() = ToMessage(head);
  *message.mutable_baseline() = BaselineMessage(result.baseline);
  *message.mutable_top_k() = ToMessage(result.top_k);
  *message.mutable_random_k() = ToMessage(result.random_k);
  *message.mutable_matched_k() = ToMessage(result.matched_k);
  if (result.check) {
    message.mutable_check()->set_delta_top(result.check->delta_top);
    message.mutable_check()->set_delta_rand(result.check->delta_rand);
    message.mutable_check()->set_delta_top_below_delta_rand(result.check->delta_top_below_delta_rand);
  }
  message.set_n_control_prompts(result.n_control_prompts);
  return message;
}

v1::LagBuckets ToMessage(const std::string& model, const analysis::LagBucketsResult& result) {
  v1::LagBuckets message;
  message.set_model(model);
  SetOptions(result.options, &message);
  SetAggregation(result.options, &message);
  for (const analysis::LagBucket& bucket : result.buckets)
    *message.add_buckets() = ToMessage(bucket, result.n_layers, result.n_heads);
  if (result.centroid_difference)
    *message.mutable_centroid_difference() = ToEstimate(*result.centroid_difference);
  return message;
}

v1::AttentionPattern ToMessage(const std::string& model, const runs::PatternResult& result) {
  v1::AttentionPattern message;
  message.set_model(model);
  *message.mutable_head() = ToMessage(result.head);
  message.set_prompt(result.prompt);
  message.mutable_token_ids()->Assign(result.tokens.begin(), result.tokens.end());
  for (const std::string& text : result.token_texts) message.add_tokens(text);
  message.set_n_bos(result.n_bos);
  message.set_file(PatternArrayFile(model));
  for (const analysis::CopyOperation& operation : result.operations) {
    for (const uint32_t key : operation.keys) {
      v1::PatternTarget& target = *message.add_targets();
      target.set_query(operation.query);
      target.set_key(key);
    }
  }
  return message;
}

}  // namespace induct::service
