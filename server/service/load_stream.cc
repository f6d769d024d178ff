#include "server/service/load_stream.h"

#include <utility>

#include "server/service/calls.h"

namespace induct::service {

grpc::ServerWriteReactor<v1::LoadModelResponse>* LoadStream::Start(LoadThreads& threads, Load load) {
  const std::shared_ptr<LoadStream> stream(new LoadStream());
  stream->self_ = stream;
  const absl::Status started = threads.Start(
      [stream, load = std::move(load)](const std::stop_token& drain) { stream->Run(load, drain); });
  if (!started.ok()) stream->Send(std::nullopt, started);
  return stream.get();
}

void LoadStream::Run(const Load& load, const std::stop_token& drain) {
  const std::stop_callback on_drain(drain, [this] { stop_.request_stop(); });
  const models::StepSink show = [this](const models::PreparationStep& step) {
    v1::LoadModelResponse message;
    message.mutable_preparing()->set_step(step.what);
    if (step.fraction) message.mutable_preparing()->set_fraction(*step.fraction);
    Send(std::move(message), std::nullopt);
  };
  absl::StatusOr<v1::Model> model = WithoutExceptions([&] { return load(show, stop_.get_token()); });
  if (absl::IsCancelled(model.status()) && drain.stop_requested()) model = ShuttingDown();
  std::optional<v1::LoadModelResponse> message;
  if (model.ok()) *message.emplace().mutable_model() = *std::move(model);
  Send(std::move(message), model.status());
}

void LoadStream::Send(std::optional<v1::LoadModelResponse> message, std::optional<absl::Status> last) {
  {
    absl::MutexLock lock(&mutex_);
    pending_ = std::move(message);  // a step that was not written yet is old news
    last_ = std::move(last);
  }
  Continue();
}

void LoadStream::OnWriteDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok) pending_.reset();
  }
  if (!ok) stop_.request_stop();
  Continue();
}

void LoadStream::Continue() {
  std::optional<absl::Status> last;
  {
    absl::MutexLock lock(&mutex_);
    if (writing_) return;
    if (pending_) {
      current_ = *std::move(pending_);
      pending_.reset();
    } else if (last_) {
      last = std::exchange(last_, std::nullopt);
    } else {
      return;
    }
    writing_ = true;  // after the call's end as well: nothing follows
  }
  last ? Finish(ToGrpcStatus(*last)) : StartWrite(&current_);
}

}  // namespace induct::service
