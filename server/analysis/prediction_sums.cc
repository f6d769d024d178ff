#include "server/analysis/prediction_sums.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/analysis/predictable_positions.h"

namespace induct::analysis {
namespace {

// [T]: whether each position is predictable.
std::vector<bool> MarkPredictable(const Prompt& prompt, std::optional<Antecedents> antecedents) {
  std::vector<bool> predictable(prompt.tokens.size());
  if (!antecedents) return predictable;
  for (const uint32_t t : PredictablePositions(prompt.tokens, prompt.n_bos, *antecedents))
    predictable[t] = true;
  return predictable;
}

absl::Status CheckBytes(const VariantPass& pass) {
  constexpr uint64_t kMetrics = 3;
  const uint64_t bytes = kMetrics * pass.variants.size() * pass.prompts.size() * sizeof(double);
  if (bytes <= kMaxPredictionSumBytes) return absl::OkStatus();
  return WithReason(
      absl::ResourceExhaustedError(absl::StrCat(
          "what ", pass.variants.size(), " variants (2 and up to twice random_draws) predict on ",
          pass.prompts.size(), " prompts takes ", bytes, " bytes to sum; ", kMaxPredictionSumBytes,
          " are allowed: lower random_draws or n_sequences, or give fewer prompts")),
      reason::kOutOfMemory);
}

// Gathers a pass's predictions.
class Gatherer {
 public:
  explicit Gatherer(const VariantPass& pass) : pass_(pass) {
    for (MetricSums* metric : {&sums_.copy_accuracy, &sums_.copy_nll, &sums_.other_nll}) {
      metric->sums.resize(pass.variants.size() * pass.prompts.size());
      metric->counts.resize(pass.prompts.size());
    }
    for (size_t i = 0; i < pass.prompts.size(); ++i) {
      const Prompt& prompt = pass.prompts[i];
      predictable_.push_back(MarkPredictable(prompt, pass.antecedents));
      for (size_t t = prompt.n_bos + 1; t < prompt.tokens.size(); ++t) {
        ++(predictable_[i][t] ? sums_.copy_nll : sums_.other_nll).counts[i];
      }
    }
    sums_.copy_accuracy.counts = sums_.copy_nll.counts;
  }

  absl::Status Add(const engine::PromptPredictions& predictions) {
    INDUCT_RETURN_IF_ERROR(CheckShape(predictions));
    const size_t prompt = predictions.prompt;
    const size_t at = predictions.variant * pass_.prompts.size() + prompt;
    size_t t = pass_.prompts[prompt].n_bos + 1;
    for (const engine::Prediction& prediction : predictions.values) {
      if (!std::isfinite(prediction.nll)) return NotFinite(predictions, t);
      if (predictable_[prompt][t++]) {
        sums_.copy_accuracy.sums[at] += prediction.correct ? 1 : 0;
        sums_.copy_nll.sums[at] += prediction.nll;
      } else {
        sums_.other_nll.sums[at] += prediction.nll;
      }
    }
    ++n_seen_;
    return absl::OkStatus();
  }

  // Call once, after the pass.
  absl::StatusOr<PredictionSums> Finish() {
    if (n_seen_ == sums_.other_nll.sums.size()) return std::move(sums_);
    return absl::InternalError(absl::StrCat("the pass ended after ", n_seen_, " predictions of ",
                                            pass_.variants.size(), " variants on ", pass_.prompts.size(),
                                            " prompts"));
  }

 private:
  absl::Status CheckShape(const engine::PromptPredictions& predictions) const {
    const auto n_variants = static_cast<int64_t>(pass_.variants.size());
    const auto n_prompts = static_cast<int64_t>(pass_.prompts.size());
    const bool in_range = predictions.variant >= 0 && predictions.variant < n_variants &&
                          predictions.prompt >= 0 && predictions.prompt < n_prompts;
    if (in_range && predictions.values.size() == sums_.copy_nll.counts[predictions.prompt] +
                                                     sums_.other_nll.counts[predictions.prompt]) {
      return absl::OkStatus();
    }
    return absl::InternalError(absl::StrCat(
        predictions.values.size(), " predictions of variant ", predictions.variant, " on prompt ",
        predictions.prompt, " do not fit ", n_variants, " variants, ", n_prompts, " prompts"));
  }

  absl::Status NotFinite(const engine::PromptPredictions& predictions, size_t position) const {
    const std::vector<engine::Head>& heads = pass_.variants[predictions.variant];
    const std::string variant =
        heads.empty() ? std::string("the unablated model")
                      : absl::StrCat("the model without ", heads.size(), " heads (the first of them ",
                                     heads[0].layer, ".", heads[0].head, ")");
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            variant, " gives no finite likelihood for token ", position, " of prompt ", predictions.prompt,
            ": in 16 bits try dtype float32, whose range is wider; in float32 the weights are at fault")),
        reason::kNonFiniteScores);
  }

  const VariantPass& pass_;
  std::vector<std::vector<bool>> predictable_;  // [N][T]
  PredictionSums sums_;
  size_t n_seen_ = 0;
};

}  // namespace

absl::StatusOr<PredictionSums> SumPredictions(engine::Model& model, const VariantPass& pass,
                                              std::stop_token stop, const engine::ProgressSink& on_progress) {
  INDUCT_RETURN_IF_ERROR(CheckBytes(pass));
  Gatherer gatherer(pass);
  engine::AblationPass of_engine{
      .variants = {pass.variants.begin(), pass.variants.end()},
      .replacement = pass.replacement,
      .first_position = pass.prompts.empty() ? 0 : static_cast<int64_t>(pass.prompts[0].n_bos),
      .batch_size = pass.batch_size,
      .activation_budget = pass.activation_budget,
      .on_predictions = [&](const engine::PromptPredictions& values) { return gatherer.Add(values); },
      .on_progress = on_progress};
  for (const Prompt& prompt : pass.prompts) of_engine.prompts.emplace_back(prompt.tokens);
  INDUCT_RETURN_IF_ERROR(model.RunVariants(of_engine, stop));
  return gatherer.Finish();
}

}  // namespace induct::analysis
