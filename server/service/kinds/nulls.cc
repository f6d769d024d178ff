// A profile against its nulls.
#include "server/runs/nulls_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

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

absl::Status CheckNulls(const v1::JobSpec&, const SpecLimits&) { return absl::OkStatus(); }

std::unique_ptr<jobs::Work> MakeNullsWork(const v1::JobSpec& spec, runs::RunRequest request,
                                          const runs::RunEnvironment& environment) {
  const v1::EvaluationSettings& evaluation = spec.nulls().profile().evaluation();
  const analysis::NullOptions options{.shuffle = evaluation.shuffle_null(),
                                      .head_permutation = evaluation.head_permutation_null(),
                                      .null_resamples = evaluation.null_resamples(),
                                      .permutation_resamples = evaluation.permutation_resamples()};
  const auto encode = [](const std::string& model, const analysis::NullsResult& result) {
    return Encode(ToMessage(model, result));
  };
  return runs::NewNullsRun(std::move(request), options, encode, environment);
}

}  // namespace

const JobKind kNullsKind = {.name = "nulls", .check = CheckNulls, .make_work = MakeNullsWork};

}  // namespace induct::service
