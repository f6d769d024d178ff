// The events of runs.
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/logging.h"
#include "induct/v1/job.pb.h"
#include "server/service/job_kind.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

// Of a result within an event, so that a stream's messages stay of a size that every client receives.
constexpr size_t kMaxResultBytes = size_t{1} << 20;

v1::ModelUse ToMessage(const runs::ModelUse& model) {
  v1::ModelUse message;
  message.set_name(model.file_name);
  message.set_source(model.source);
  message.set_revision(model.revision);
  message.set_checkpoint_sha256(model.checkpoint_sha256);
  message.set_architecture(model.architecture);
  message.set_dtype(std::string(DTypeName(model.dtype)));
  message.set_n_layers(model.n_layers);
  message.set_n_heads(model.n_heads);
  message.set_n_parameters(model.n_parameters);
  message.set_streamed(model.streamed);
  for (const engine::LinearUse& use : model.linear) {
    v1::LinearProduct& product = *message.add_linear_products();
    product.set_n_in(static_cast<uint32_t>(use.n_in));
    product.set_n_out(static_cast<uint32_t>(use.n_out));
    product.set_n_rows(static_cast<uint32_t>(use.n_rows));
    product.set_product(std::string(engine::LinearProductName(use.choice.method.product)));
    product.set_fuses_activation(use.choice.method.fuses_activation);
    product.set_gflops(use.choice.gflops);
  }
  return message;
}

}  // namespace

std::string RunEvents::Preparing(const models::PreparationStep& step) const {
  v1::JobEvent event;
  event.mutable_preparing()->set_step(step.what);
  if (step.fraction) event.mutable_preparing()->set_fraction(*step.fraction);
  return event.SerializeAsString();
}

std::string RunEvents::Started(const runs::RunStarted& started) const {
  v1::JobEvent event;
  v1::JobStarted& message = *event.mutable_started();
  message.set_device(started.device);
  message.set_device_index(static_cast<uint32_t>(started.device_index));
  for (const runs::ModelUse& model : started.models) *message.add_models() = ToMessage(model);
  message.set_n_prompts(started.n_prompts);
  message.set_n_tokens(static_cast<double>(started.n_tokens));
  for (const std::string& warning : started.warnings) message.add_warnings(warning);
  return event.SerializeAsString();
}

std::string RunEvents::LayerScores(const std::string& model, uint32_t n_layers,
                                   const analysis::LayerScores& scores) const {
  v1::JobEvent event;
  v1::LayerScores& message = *event.mutable_layer_scores();
  message.set_model(model);
  message.set_layer(scores.layer);
  message.set_n_layers(n_layers);
  for (const auto& kind : scores.kinds) {
    v1::KindScores& of_kind = *message.add_kinds();
    of_kind.set_kind(std::string(analysis::ScoreKindName(kind.kind)));
    of_kind.set_n_copy_ops(static_cast<uint32_t>(kind.n_copy_ops));
    of_kind.mutable_scores()->Assign(kind.values.begin(), kind.values.end());
  }
  return event.SerializeAsString();
}

std::string RunEvents::Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const {
  v1::JobEvent event;
  v1::JobProgress& message = *event.mutable_progress();
  message.set_fraction(fraction);
  message.set_layers_done(layers_done);
  message.set_n_layers(n_layers);
  return event.SerializeAsString();
}

std::string RunEvents::Finished(const std::string& result_message, const jobs::JobRecord& record,
                                const std::vector<std::string>& warnings) const {
  v1::JobEvent event;
  v1::JobFinished& message = *event.mutable_finished();
  if (result_message.size() <= kMaxResultBytes && !message.mutable_result()->ParseFromString(result_message))
    Log(LogLevel::kError, "server", "a result could not be put into its event");
  v1::JobSeconds& seconds = *message.mutable_seconds();
  seconds.set_queued(absl::ToDoubleSeconds(record.preparing_since - record.created));
  seconds.set_preparing(absl::ToDoubleSeconds(record.running_since - record.preparing_since));
  seconds.set_running(absl::ToDoubleSeconds(absl::Now() - record.running_since));
  for (const std::string& warning : warnings) message.add_warnings(warning);
  return event.SerializeAsString();
}

absl::StatusOr<runs::EncodedResult> RunEvents::Profile(const std::string& model,
                                                       const analysis::ProfileResult& result) const {
  return Encode(ToMessage(model, result));
}

}  // namespace induct::service
