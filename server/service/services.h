// server/service speaks gRPC: the contract's four services over the rooms behind it.
// Must not know: LibTorch, how scores are computed, how jobs are stored.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/settings.h"
#include "induct/v1/analysis_service.grpc.pb.h"
#include "induct/v1/job_service.grpc.pb.h"
#include "induct/v1/model_service.grpc.pb.h"
#include "induct/v1/server_service.grpc.pb.h"
#include "server/jobs/job_store.h"
#include "server/jobs/scheduler.h"
#include "server/metrics/recorder.h"
#include "server/models/model_registry.h"
#include "server/service/blocking_pool.h"
#include "server/service/load_threads.h"
#include "server/service/specs.h"

namespace induct::service {

// What the services share. All pointers outlive them; everything pointed at is safe for concurrent use.
struct ServiceContext {
  BlockingPool* pool = nullptr;  // for jobs and their streams
  BlockingPool* slow_pool =
      nullptr;  // for what may take seconds: previews and models, which must not hold up the others
  LoadThreads* load_threads = nullptr;
  jobs::Scheduler* scheduler = nullptr;
  jobs::JobStore* store = nullptr;
  models::ModelRegistry* registry = nullptr;
  Settings settings;  // the server's
  SpecLimits limits;
  v1::ServerInfo info;                       // answered as it is
  std::function<v1::ServerStatus()> status;  // of now
  metrics::Recorder* recorder = metrics::NoRecorder();
};

class AnalysisService : public v1::AnalysisService::CallbackService {
 public:
  explicit AnalysisService(const ServiceContext& context) : context_(context) {}

  grpc::ServerWriteReactor<v1::JobEvent>* RunProfile(grpc::CallbackServerContext* call,
                                                     const v1::RunProfileRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* CrossSize(grpc::CallbackServerContext* call,
                                                    const v1::CrossSizeRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* Nulls(grpc::CallbackServerContext* call,
                                                const v1::NullsRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* Causal(grpc::CallbackServerContext* call,
                                                 const v1::CausalRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* LagBuckets(grpc::CallbackServerContext* call,
                                                     const v1::LagBucketsRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* Pattern(grpc::CallbackServerContext* call,
                                                  const v1::PatternRequest* request) override;
  grpc::ServerWriteReactor<v1::PreviewPromptsResponse>* PreviewPrompts(
      grpc::CallbackServerContext* call, const v1::PreviewPromptsRequest* request) override;

 private:
  const ServiceContext& context_;
};

class JobService : public v1::JobService::CallbackService {
 public:
  explicit JobService(const ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext* call, const v1::CreateJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* call, const v1::GetJobRequest* request,
                                   v1::Job* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* call, const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerWriteReactor<v1::JobEvent>* WatchJob(grpc::CallbackServerContext* call,
                                                   const v1::WatchJobRequest* request) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* call, const v1::CancelJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* call, const v1::DeleteJobRequest* request,
                                      v1::DeleteJobResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadArtifactResponse>* ReadArtifact(
      grpc::CallbackServerContext* call, const v1::ReadArtifactRequest* request) override;

 private:
  v1::Job Describe(const jobs::JobRecord& record) const;

  const ServiceContext& context_;
};

class ModelService : public v1::ModelService::CallbackService {
 public:
  explicit ModelService(const ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* call,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* call, const v1::GetModelRequest* request,
                                     v1::Model* response) override;
  grpc::ServerWriteReactor<v1::LoadModelResponse>* LoadModel(grpc::CallbackServerContext* call,
                                                             const v1::LoadModelRequest* request) override;
  grpc::ServerUnaryReactor* UnloadModel(grpc::CallbackServerContext* call,
                                        const v1::UnloadModelRequest* request, v1::Model* response) override;

 private:
  const ServiceContext& context_;
};

class ServerService : public v1::ServerService::CallbackService {
 public:
  explicit ServerService(const ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* call,
                                          const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override;
  grpc::ServerUnaryReactor* GetServerStatus(grpc::CallbackServerContext* call,
                                            const v1::GetServerStatusRequest* request,
                                            v1::ServerStatus* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* call, const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;

 private:
  const ServiceContext& context_;
};

// Turns a stored job into work: decodes the spec that the submitting call stored. `environment` must
// outlive the factory.
jobs::WorkFactory MakeWorkFactory(const SpecLimits& limits, const runs::RunEnvironment& environment);

}  // namespace induct::service
