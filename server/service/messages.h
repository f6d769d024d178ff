// What runs find, as messages.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/lag_buckets.pb.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/pattern.pb.h"
#include "induct/v1/profile.pb.h"
#include "induct/v1/request.pb.h"
#include "server/runs/run.h"

namespace induct::service {

v1::Prompt ToMessage(const analysis::Prompt& prompt);

// Results; `model` is the file name of the model that they are of.
v1::Profile ToMessage(const std::string& model, const analysis::ProfileResult& result);
v1::CrossSize ToMessage(const std::string& model, const runs::CrossSizeResult& result);
v1::Nulls ToMessage(const std::string& model, const analysis::NullsResult& result);
v1::Causal ToMessage(const std::string& model, const analysis::CausalResult& result);
v1::LagBuckets ToMessage(const std::string& model, const analysis::LagBucketsResult& result);
v1::AttentionPattern ToMessage(const std::string& model, const runs::PatternResult& result);

// Their parts.
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
  std::string Finished(const std::string& model, const runs::RunResult& result, const jobs::JobRecord& record,
                       const std::vector<std::string>& warnings) const override;
  absl::StatusOr<std::string> Json(const std::string& model, const runs::RunResult& result) const override;
};

}  // namespace induct::service
