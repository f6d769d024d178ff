// A job's events, from submission to the end, over however many connections that takes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/backoff.h"
#include "client/connection.h"
#include "grpcpp/support/sync_stream.h"
#include "induct/v1/analyses.pb.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

// Creates a job and follows it. What breaks is done again: creating under the same request id, so that no
// second job begins, watching where it broke off, so that no event is lost or comes twice. One thread calls
// Next; Cancel may be called from any.
class JobStream {
 public:
  // `spec` must hold a request id. `notice` gets a sentence when the stream breaks and when it is back.
  // `connection` must outlive the stream.
  JobStream(Connection* connection, v1::JobSpec spec, std::function<void(const std::string&)> notice);
  ~JobStream();

  // The next event; blocks until there is one. Not to be called after a terminal event. Errors carry their
  // exit code: the server refused the spec, lost the job, or can't be reached any more; CANCELLED after
  // Connection::Abandon.
  absl::StatusOr<v1::JobEvent> Next();

  // Asks the server to cancel the job, now or as soon as its name is known. Returns within 5 s; whether the
  // job ends is seen by Next.
  void Cancel();

  const v1::JobSpec& spec() const { return spec_; }
  // Empty before the job is created.
  std::string job() const;

 private:
  grpc::Status Create();
  // Reads on to the next event that is new; else how the stream ended.
  grpc::Status Watch(std::optional<v1::JobEvent>* event);
  void ShowThatItGoesOn();
  bool IsNews(const v1::JobEvent& event);
  void SetJob(const std::string& job);
  absl::Status AfterBreak(const grpc::Status& status);
  absl::Status Refused(const grpc::Status& status) const;
  void SendCancel(const std::string& job);

  Connection* const connection_;
  const v1::JobSpec spec_;
  const std::function<void(const std::string&)> notice_;
  Backoff backoff_;
  uint64_t last_sequence_ = 0;
  uint32_t attempt_ = 0;
  bool broken_ = false;  // a break was announced, and nothing has come since

  // The open stream, where there is one. The reader goes before its call.
  std::optional<Call> call_;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader_;

  mutable absl::Mutex mutex_;
  std::string job_ ABSL_GUARDED_BY(mutex_);
  bool cancel_wanted_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace induct::client
