// The way to a server: one that listens somewhere, or one started for this run alone.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/backoff.h"
#include "client/private_server.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "induct/v1/analysis_service.grpc.pb.h"
#include "induct/v1/job_service.grpc.pb.h"
#include "induct/v1/model_service.grpc.pb.h"
#include "induct/v1/server_service.grpc.pb.h"

namespace induct::client {

class Connection;

// A channel to a server that listens at `target`, an address as ParseAddress gives it. The first call
// connects.
std::shared_ptr<grpc::Channel> ChannelTo(const std::string& target);
// The errors where nobody is there, and where somebody else answers: exit code kUnreachable.
absl::Status CannotReach(const std::string& target, const grpc::Status& cause);
absl::Status AnswersOtherwise(const std::string& target, const grpc::Status& answer);

// The context of one call; known to its connection, which can so cancel what blocks. Must not outlive the
// connection.
class Call {
 public:
  Call(Connection* connection, absl::Duration timeout);
  ~Call();
  grpc::ClientContext* context() { return &context_; }

 private:
  Connection* const connection_;
  grpc::ClientContext context_;
};

// A channel and its stubs. Safe for concurrent use. Owns the private server where there is one.
class Connection {
 public:
  // Connects to `address`, or, where it is empty, to a server started with `settings_file`, and asks who it
  // is: an error has the exit code kUnreachable where nobody answers. For a private server call it before
  // gRPC has threads.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& address,
                                                          const std::string& settings_file,
                                                          const RetryPolicy& retry = {});
  // Over a channel that exists. `server` may be null.
  Connection(std::shared_ptr<grpc::Channel> channel, const std::string& address,
             std::unique_ptr<PrivateServer> server, const RetryPolicy& retry);
  // No call may be open.
  ~Connection();

  v1::AnalysisService::Stub& analysis() { return *analysis_; }
  v1::JobService::Stub& jobs() { return *jobs_; }
  v1::ModelService::Stub& models() { return *models_; }
  const v1::ServerInfo& server_info() const { return server_info_; }
  // As errors and progress lines name it.
  const std::string& address() const { return address_; }
  // A private server that broke off is gone: there is nothing to reconnect to.
  bool is_private() const { return server_ != nullptr; }
  const RetryPolicy& retry() const { return retry_; }

  // Ends every open call with CANCELLED, as every later one, and wakes sleepers.
  void Abandon();
  bool abandoned() const;
  // Whether the whole duration went by without Abandon.
  bool Sleep(absl::Duration duration);

  // The error of a connection that is lost for good: exit code kUnreachable, with a private server's last log
  // lines. `job` is the one that was followed; empty: none.
  absl::Status Lost(const grpc::Status& cause, const std::string& job = "") const;

 private:
  friend class Call;

  absl::Status AskServerInfo();

  std::unique_ptr<PrivateServer> server_;  // before the channel: the channel's socket must close first
  const std::string address_;
  const RetryPolicy retry_;
  const std::unique_ptr<v1::AnalysisService::Stub> analysis_;
  const std::unique_ptr<v1::JobService::Stub> jobs_;
  const std::unique_ptr<v1::ModelService::Stub> models_;
  const std::unique_ptr<v1::ServerService::Stub> server_stub_;
  v1::ServerInfo server_info_;  // set by Open, then only read

  mutable absl::Mutex mutex_;
  std::set<grpc::ClientContext*> open_calls_ ABSL_GUARDED_BY(mutex_);
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace induct::client
