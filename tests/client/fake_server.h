// A stand-in for induct-server that plays scripted event streams, so that tests can break them where they
// like: the client's room must be testable without the server's. It computes nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server.h"
#include "induct/v1/analysis_service.grpc.pb.h"
#include "induct/v1/job_service.grpc.pb.h"
#include "induct/v1/model_service.grpc.pb.h"
#include "induct/v1/server_service.grpc.pb.h"
#include "proto/contract.h"

namespace induct::client {

// What one WatchJob stream does: sends the log's events before `end_index`, then ends with `status`; or,
// where `wait_for_cancel`, waits for CancelJob and sends `cancelled`.
struct Play {
  size_t end_index = SIZE_MAX;
  grpc::Status status;
  bool wait_for_cancel = false;
};

struct Script {
  uint32_t contract = kContract;  // as GetServerInfo tells it
  std::vector<v1::JobEvent> log;  // all events, durable and passing, in order; accepted gets the created spec
  v1::ProfileSpec defaults;       // what created specs get where they are silent
  std::deque<grpc::Status> creations;  // what CreateJob answers, in turn; OK when they are used up
  std::deque<Play> plays;      // one a stream; when they are used up, streams play everything and end with OK
  std::optional<v1::Job> job;  // that GetJob tells; none: the one that was created last, as its log ended
  std::map<std::string, std::string> artifacts;
  std::deque<size_t>
      artifact_cuts;            // bytes that one ReadArtifact call sends before it breaks with UNAVAILABLE
  bool artifact_waits = false;  // ReadArtifact waits until the client is gone
  bool checks_sha256 =
      false;  // NOT_FOUND for an artifact with another SHA-256 than asked for, as induct-server does
  v1::ListModelsResponse models;             // GetModel, LoadModel and UnloadModel know these by name
  std::vector<v1::JobPreparing> load_steps;  // that LoadModel tells before it ends with load_status
  grpc::Status load_status;
  bool load_waits = false;  // LoadModel waits after its steps until the client is gone
  grpc::Status unload_status;
  std::vector<v1::Job> jobs;
  v1::Job::State state_after_cancel = v1::Job::STATE_CANCELLED;  // that CancelJob tells
  std::vector<v1::Prompt> prompts;
  std::optional<bool> serving;  // what grpc.health.v1 tells; none: there is no such service
  grpc::Status preview_status;
};

// What the calls asked for.
struct Record {
  std::vector<v1::JobSpec> created;
  std::vector<v1::ListJobsRequest> listed;
  std::vector<v1::WatchJobRequest> watched;
  std::vector<v1::ReadArtifactRequest> read;
  std::vector<std::string> cancelled;
  std::vector<v1::LoadModelRequest> loads;
  size_t loads_cancelled = 0;
  std::string user;
};

// Safe for concurrent use.
class FakeServer {
 public:
  // On a free port of the loopback.
  explicit FakeServer(Script script);
  ~FakeServer();

  const std::string& address() const { return address_; }
  Record record() const;
  // Waits until a stream has come to its wait_for_cancel, a load to its load_waits, or a read to
  // artifact_waits.
  void AwaitWaiting();
  // Waits until a LoadModel call has seen that its client is gone.
  void AwaitCancelledLoad();

 private:
  struct Services;

  const std::unique_ptr<Services> services_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

inline constexpr char kFakeJob[] = "jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV";

// A status as induct-server sends it, with its details.
grpc::Status ServerError(grpc::StatusCode code, const std::string& message, const std::string& reason,
                         const std::string& field = "");

// A made-up result: `model`'s curve has its peak in the middle.
v1::Profile MakeProfile(const std::string& model, int n_layers, int n_heads, bool bootstrap);
// scores_<model>.npy of such a result.
std::string MakeScores(const v1::Profile& profile);

// The script of a job that succeeds: accepted, started, a layer_scores each layer, artifacts, finished; with
// passing events between.
Script SuccessfulScript(const std::string& model, int n_layers = 4, int n_heads = 4);
// Gives the artifact of that name other bytes.
void ReplaceArtifact(const std::string& name, const std::string& bytes, Script* script);
v1::JobEvent ArtifactEvent(const std::string& name, const std::string& bytes);
// Numbers the durable events 1, 2, 3, ...
void Renumber(std::vector<v1::JobEvent>* log, uint32_t attempt = 1);

}  // namespace induct::client
