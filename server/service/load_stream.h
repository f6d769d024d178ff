// One LoadModel call: what is being done, message by message, then the model.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "induct/v1/model_service.pb.h"
#include "server/models/model_registry.h"
#include "server/service/load_threads.h"

namespace induct::service {

// Steps that come faster than the client reads replace one another. Lives until gRPC is done with it and the
// load has ended.
class LoadStream : public grpc::ServerWriteReactor<v1::LoadModelResponse>,
                   public std::enable_shared_from_this<LoadStream> {
 public:
  // Its stop token is requested when the client is gone or the server drains.
  using Load = std::function<absl::StatusOr<v1::Model>(const models::StepSink&, std::stop_token)>;

  // Runs `load` on one of `threads`, which must outlive the stream, and ends the call with its status.
  static grpc::ServerWriteReactor<v1::LoadModelResponse>* Start(LoadThreads& threads, Load load);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { stop_.request_stop(); }
  void OnDone() override { self_.reset(); }

 private:
  LoadStream() = default;

  void Run(const Load& load, const std::stop_token& drain);
  // Keeps `message` as the next to be written. No status: more will come.
  void Send(std::optional<v1::LoadModelResponse> message, std::optional<absl::Status> last);
  // Writes or ends where there is something to write or the load has ended, and nothing is being written.
  void Continue();

  std::stop_source stop_;
  std::shared_ptr<LoadStream> self_;  // held while gRPC may call this object

  v1::LoadModelResponse current_;  // being written
  absl::Mutex mutex_;
  std::optional<v1::LoadModelResponse> pending_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> last_ ABSL_GUARDED_BY(mutex_);  // the call's status, once the load has ended
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace induct::service
