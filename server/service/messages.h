// What kinds of runs share of what they say, as messages.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "induct/v1/analyses.pb.h"
#include "server/runs/run.h"

namespace induct::service {

v1::Prompt ToMessage(const analysis::Prompt& prompt);

// `model` is the file name of the model that the profile is of.
v1::Profile ToMessage(const std::string& model, const analysis::ProfileResult& result);

// Parts of results.
v1::HeadRef ToHeadRef(const engine::Head& head);
std::vector<double> LowEnds(std::span<const analysis::Interval> intervals);
std::vector<double> HighEnds(std::span<const analysis::Interval> intervals);
void Assign(const std::vector<double>& values, google::protobuf::RepeatedField<double>* field);
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

v1::ProfileBootstrap ToBootstrap(const analysis::BootstrapResult& bootstrap, uint32_t n_layers,
                                 uint32_t n_heads);
template <typename Value>
v1::HeadMatrix ToMatrix(const std::vector<Value>& values, uint32_t n_layers, uint32_t n_heads) {
  v1::HeadMatrix matrix;
  matrix.set_n_layers(n_layers);
  matrix.set_n_heads(n_heads);
  matrix.mutable_values()->Assign(values.begin(), values.end());
  return matrix;
}

// Events as serialised JobEvents that carry nothing but their kind; job_messages.h adds sequence, attempt and
// time.
class RunEvents : public runs::RunEncoder {
 public:
  std::string Preparing(const models::PreparationStep& step) const override;
  std::string Started(const runs::RunStarted& started) const override;
  std::string LayerScores(const std::string& model, uint32_t n_layers,
                          const analysis::LayerScores& scores) const override;
  std::string Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const override;
  std::string Finished(const std::string& result_message, const jobs::JobRecord& record,
                       const std::vector<std::string>& warnings) const override;
  absl::StatusOr<runs::EncodedResult> Profile(const std::string& model,
                                              const analysis::ProfileResult& result) const override;
};

}  // namespace induct::service
