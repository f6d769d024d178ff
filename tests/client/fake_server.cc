#include "tests/client/fake_server.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/sha256.h"
#include "google/rpc/error_details.pb.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "proto/job_specs.h"
#include "proto/message_json.h"

namespace induct::client {

struct FakeServer::Services final : v1::AnalysisService::Service,
                                    v1::JobService::Service,
                                    v1::ModelService::Service,
                                    v1::ServerService::Service {
  explicit Services(Script s) : script(std::move(s)) {}

  grpc::Status CreateJob(grpc::ServerContext* context, const v1::CreateJobRequest* request,
                         v1::Job* job) override {
    const absl::MutexLock lock(&mutex);
    record.created.push_back(request->spec());
    const auto user = context->client_metadata().find("induct-user");
    if (user != context->client_metadata().end())
      record.user = std::string(user->second.data(), user->second.size());
    grpc::Status status;
    if (!script.creations.empty()) {
      status = script.creations.front();
      script.creations.pop_front();
    }
    if (!status.ok()) return status;
    current = JobOf(request->spec());
    job->set_name(kFakeJob);
    return status;
  }

  // The job as a server resolves it.
  v1::Job JobOf(const v1::JobSpec& sent) const {
    v1::Job job;
    job.set_name(kFakeJob);
    job.set_server_id("01SERVER");
    job.set_kind(KindOf(sent));
    job.set_request_sha256(SpecSha256(sent));
    job.mutable_create_time()->set_seconds(1'700'000'000);
    *job.mutable_spec() = sent;
    job.mutable_spec()->mutable_options()->clear_request_id();
    CountGivenPrompts(job.mutable_spec());
    v1::ProfileSpec* profile = MutableProfileOf(job.mutable_spec());
    const v1::ProfileSpec asked = *profile;
    *profile = script.defaults;
    if (asked.prompts().lag_values_size() > 0) profile->mutable_prompts()->clear_lag_values();
    profile->MergeFrom(asked);
    for (const std::string& model : ModelsOf(sent)) job.add_models(model);
    return job;
  }

  // What the log tells of the job.
  void EndJob(v1::Job* job) const {
    for (const v1::JobEvent& event : script.log) {
      if (event.has_started()) *job->mutable_started() = event.started();
      if (event.has_artifact()) *job->add_artifacts() = event.artifact();
      if (!event.has_finished()) continue;
      job->set_state(v1::Job::STATE_SUCCEEDED);
      *job->mutable_seconds() = event.finished().seconds();
      *job->mutable_warnings() = event.finished().warnings();
    }
  }

  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request, v1::Job* job) override {
    const absl::MutexLock lock(&mutex);
    *job = script.job.value_or(current);
    if (request->name() != job->name())
      return ServerError(grpc::StatusCode::NOT_FOUND, "no such job", "JOB_NOT_FOUND");
    if (!script.job) EndJob(job);
    return grpc::Status::OK;
  }

  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override {
    {
      const absl::MutexLock lock(&mutex);
      record.watched.push_back(*request);
    }
    return PlayNext(request->after_sequence(), context, writer);
  }

  grpc::Status PlayNext(uint64_t after, grpc::ServerContext* context,
                        grpc::ServerWriter<v1::JobEvent>* writer) {
    Play play;
    v1::Job job;
    {
      const absl::MutexLock lock(&mutex);
      job = current;
      if (!script.plays.empty()) {
        play = script.plays.front();
        script.plays.pop_front();
      }
    }
    for (size_t i = 0; i < std::min(play.end_index, script.log.size()); ++i) {
      v1::JobEvent event = script.log[i];
      if (event.has_accepted()) {
        *event.mutable_accepted()->mutable_spec() = job.spec();
        *event.mutable_accepted()->mutable_models() = job.models();
      }
      if (!event.has_sequence() || event.sequence() > after) writer->Write(event);
    }
    if (play.wait_for_cancel) WaitForCancel(context, writer);
    return play.status;
  }

  void WaitForCancel(grpc::ServerContext* context, grpc::ServerWriter<v1::JobEvent>* writer) {
    absl::MutexLock lock(&mutex);
    waiting = true;
    while (record.cancelled.empty() && !context->IsCancelled())
      cancel_came.WaitWithTimeout(&mutex, absl::Milliseconds(20));
    v1::JobEvent cancelled;
    cancelled.set_sequence(1000);
    cancelled.set_attempt(1);
    cancelled.mutable_cancelled();
    writer->Write(cancelled);
  }

  grpc::Status PreviewPrompts(grpc::ServerContext*, const v1::PreviewPromptsRequest*,
                              grpc::ServerWriter<v1::PreviewPromptsResponse>* writer) override {
    for (const v1::Prompt& prompt : script.prompts) {
      v1::PreviewPromptsResponse response;
      *response.add_prompts() = prompt;
      writer->Write(response);
    }
    return script.preview_status;
  }

  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request, v1::Job* job) override {
    const absl::MutexLock lock(&mutex);
    if (request->name() != kFakeJob)
      return ServerError(grpc::StatusCode::NOT_FOUND, "no such job", "JOB_NOT_FOUND");
    record.cancelled.push_back(request->name());
    cancel_came.SignalAll();
    job->set_name(request->name());
    job->set_state(script.state_after_cancel);
    return grpc::Status::OK;
  }

  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override {
    {
      const absl::MutexLock lock(&mutex);
      record.listed.push_back(*request);
    }
    size_t at = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    const size_t page = std::min<size_t>(request->page_size(), 2);  // smaller than asked, as servers may
    for (const size_t end = std::min(at + page, script.jobs.size()); at < end; ++at)
      *response->add_jobs() = script.jobs[at];
    if (at < script.jobs.size()) response->set_next_page_token(absl::StrCat(at));
    return grpc::Status::OK;
  }

  grpc::Status ReadArtifact(grpc::ServerContext* context, const v1::ReadArtifactRequest* request,
                            grpc::ServerWriter<v1::ReadArtifactResponse>* writer) override {
    size_t left = SIZE_MAX;
    {
      const absl::MutexLock lock(&mutex);
      record.read.push_back(*request);
      waiting = waiting || script.artifact_waits;
      while (script.artifact_waits && !context->IsCancelled())
        cancel_came.WaitWithTimeout(&mutex, absl::Milliseconds(20));
      if (!script.artifact_cuts.empty()) {
        left = script.artifact_cuts.front();
        script.artifact_cuts.pop_front();
      }
    }
    const auto artifact = script.artifacts.find(request->name());
    const bool other = artifact != script.artifacts.end() && script.checks_sha256 &&
                       Sha256Hex(artifact->second) != request->sha256();
    if (artifact == script.artifacts.end() || other)
      return ServerError(grpc::StatusCode::NOT_FOUND, "no such artifact", "ARTIFACT_NOT_FOUND");
    const std::string& bytes = artifact->second;
    size_t at = request->offset();
    while (at < bytes.size() && left > 0) {
      const size_t length = std::min({size_t{1000}, left, bytes.size() - at});
      v1::ReadArtifactResponse chunk;
      chunk.set_data(bytes.substr(at, length));
      writer->Write(chunk);
      at += length;
      left -= length;
    }
    return at < bytes.size() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "cut by the test")
                             : grpc::Status::OK;
  }

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override {
    int at = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    for (const int end = std::min(at + 2, script.models.models_size()); at < end; ++at)
      *response->add_models() = script.models.models(at);
    if (at < script.models.models_size()) response->set_next_page_token(absl::StrCat(at));
    return grpc::Status::OK;
  }

  grpc::Status Find(const std::string& name, v1::Model* found) {
    for (const v1::Model& model : script.models.models()) {
      if (model.name() != name) continue;
      *found = model;
      return grpc::Status::OK;
    }
    return ServerError(grpc::StatusCode::NOT_FOUND, "there is no model \"" + name + "\" on the server",
                       "MODEL_NOT_FOUND", "model");
  }

  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request, v1::Model* model) override {
    return Find(request->name(), model);
  }

  grpc::Status LoadModel(grpc::ServerContext* context, const v1::LoadModelRequest* request,
                         grpc::ServerWriter<v1::LoadModelResponse>* writer) override {
    absl::MutexLock lock(&mutex);
    record.loads.push_back(*request);
    v1::LoadModelResponse response;
    for (const v1::JobPreparing& step : script.load_steps) {
      *response.mutable_preparing() = step;
      writer->Write(response);
    }
    waiting = script.load_waits;
    while (script.load_waits && !context->IsCancelled())
      cancel_came.WaitWithTimeout(&mutex, absl::Milliseconds(20));
    record.loads_cancelled += context->IsCancelled() ? 1 : 0;
    if (!script.load_status.ok()) return script.load_status;
    const grpc::Status found = Find(request->name(), response.mutable_model());
    if (found.ok()) writer->Write(response);
    return found;
  }

  grpc::Status UnloadModel(grpc::ServerContext*, const v1::UnloadModelRequest* request,
                           v1::Model* model) override {
    return script.unload_status.ok() ? Find(request->name(), model) : script.unload_status;
  }

  grpc::Status GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                             v1::ServerInfo* info) override {
    info->set_id("01SERVER");
    info->set_version("9.9.9");
    info->set_libtorch("2.13.0");
    info->set_contract(script.contract);
    return grpc::Status::OK;
  }

  absl::Mutex mutex;
  absl::CondVar cancel_came;
  Script script;  // creations, plays and artifact_cuts under the mutex; the rest does not change
  Record record ABSL_GUARDED_BY(mutex);
  v1::Job current ABSL_GUARDED_BY(mutex);  // created last
  bool waiting ABSL_GUARDED_BY(mutex) = false;
};

FakeServer::FakeServer(Script script) : services_(std::make_unique<Services>(std::move(script))) {
  const std::optional<bool> serving = services_->script.serving;
  grpc::EnableDefaultHealthCheckService(serving.has_value());
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(static_cast<v1::AnalysisService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::JobService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ModelService::Service*>(services_.get()));
  builder.RegisterService(static_cast<v1::ServerService::Service*>(services_.get()));
  builder.SetMaxReceiveMessageSize(65 << 20);
  server_ = builder.BuildAndStart();
  if (serving) server_->GetHealthCheckService()->SetServingStatus(*serving);
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeServer::~FakeServer() { server_->Shutdown(std::chrono::system_clock::now()); }

Record FakeServer::record() const {
  const absl::MutexLock lock(&services_->mutex);
  return services_->record;
}

void FakeServer::AwaitWaiting() {
  const absl::MutexLock lock(&services_->mutex);
  services_->mutex.Await(absl::Condition(&services_->waiting));
}

void FakeServer::AwaitCancelledLoad() {
  const absl::MutexLock lock(&services_->mutex);
  const auto cancelled = [this] { return services_->record.loads_cancelled > 0; };
  services_->mutex.Await(absl::Condition(&cancelled));
}

grpc::Status ServerError(grpc::StatusCode code, const std::string& message, const std::string& reason,
                         const std::string& field) {
  google::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("induct");
  status.add_details()->PackFrom(info);
  if (!field.empty()) {
    google::rpc::BadRequest bad;
    bad.add_field_violations()->set_field(field);
    bad.mutable_field_violations(0)->set_description(message);
    status.add_details()->PackFrom(bad);
  }
  return grpc::Status(code, message, status.SerializeAsString());
}

v1::Profile MakeProfile(const std::string& model, int n_layers, int n_heads, bool bootstrap) {
  v1::Profile profile;
  profile.set_model(model);
  profile.set_score("induction");
  profile.set_antecedents("first");
  profile.set_min_lag(3);
  profile.set_aggregation("topq");
  profile.set_high_score_quantile(0.9);
  profile.set_n_layers(static_cast<uint32_t>(n_layers));
  profile.set_n_heads(static_cast<uint32_t>(n_heads));
  profile.set_n_heads_kept(1);
  profile.set_n_prompts(400);
  profile.set_n_copy_ops(12345);
  for (int layer = 0; layer < n_layers; ++layer) {
    const double x = (layer - n_layers / 2) / (0.15 * n_layers + 0.1);
    const double score = 0.05 + 0.8 * std::exp(-x * x);
    profile.add_per_layer(score);
    if (!bootstrap) continue;
    profile.mutable_bootstrap()->mutable_per_layer()->add_ci_low(score * 0.93);
    profile.mutable_bootstrap()->mutable_per_layer()->add_ci_high(score * 1.06);
  }
  profile.set_peak_layer(static_cast<uint32_t>(n_layers / 2));
  profile.set_peak_depth((n_layers / 2 + 0.5) / n_layers);
  profile.set_centroid_rel(0.52);
  profile.set_bandwidth_interpolated(0.31);
  if (bootstrap) {
    profile.mutable_bootstrap()->set_resamples(1000);
    for (auto* estimate : {profile.mutable_bootstrap()->mutable_peak_depth(),
                           profile.mutable_bootstrap()->mutable_centroid_rel(),
                           profile.mutable_bootstrap()->mutable_bandwidth_interpolated()}) {
      estimate->set_ci_low(0.48);
      estimate->set_ci_high(0.56);
    }
  }
  v1::TopHead* best = profile.add_top_heads();
  best->set_layer(profile.peak_layer());
  best->set_head(0);
  best->set_score(0.85);
  return profile;
}

std::string MakeScores(const v1::Profile& profile) {
  std::vector<float> scores;
  for (uint32_t layer = 0; layer < profile.n_layers(); ++layer) {
    for (uint32_t head = 0; head < profile.n_heads(); ++head) {
      scores.push_back(static_cast<float>(profile.per_layer(static_cast<int>(layer)) /
                                          (1 + (head * 7 + layer * 3) % profile.n_heads())));
    }
  }
  const std::vector<int64_t> shape = {profile.n_layers(), profile.n_heads()};
  return NpyBytes(scores, shape);
}

v1::JobEvent ArtifactEvent(const std::string& name, const std::string& bytes) {
  v1::JobEvent event;
  event.mutable_artifact()->set_name(name);
  event.mutable_artifact()->set_media_type("application/octet-stream");
  event.mutable_artifact()->set_size(static_cast<double>(bytes.size()));
  event.mutable_artifact()->set_sha256(Sha256Hex(bytes));
  return event;
}

void ReplaceArtifact(const std::string& name, const std::string& bytes, Script* script) {
  script->artifacts[name] = bytes;
  for (v1::JobEvent& event : script->log) {
    if (event.artifact().name() == name) *event.mutable_artifact() = ArtifactEvent(name, bytes).artifact();
  }
}

void Renumber(std::vector<v1::JobEvent>* log, uint32_t attempt) {
  uint64_t sequence = 0;
  for (v1::JobEvent& event : *log) {
    event.set_attempt(attempt);
    const bool passing =
        event.has_queued() || event.has_preparing() || event.has_progress() || event.has_heartbeat();
    if (!passing) event.set_sequence(++sequence);
  }
}

namespace {

void AddSetUp(const std::string& model, int n_layers, int n_heads, std::vector<v1::JobEvent>* log) {
  v1::JobAccepted* accepted = log->emplace_back().mutable_accepted();
  accepted->set_job(kFakeJob);
  accepted->set_server_id("01SERVER");
  log->emplace_back().mutable_queued()->set_position(2);
  log->emplace_back().mutable_preparing()->set_step("loading " + model);
  v1::JobStarted* started = log->emplace_back().mutable_started();
  started->set_device("cpu");
  started->set_n_prompts(400);
  v1::ModelUse* use = started->add_models();
  use->set_name(ModelFileName(model));
  use->set_source(model);
  use->set_n_layers(static_cast<uint32_t>(n_layers));
  use->set_n_heads(static_cast<uint32_t>(n_heads));
}

}  // namespace

Script SuccessfulScript(const std::string& model, int n_layers, int n_heads) {
  Script script;
  const v1::Profile profile = MakeProfile(ModelFileName(model), n_layers, n_heads, /*bootstrap=*/true);
  AddSetUp(model, n_layers, n_heads, &script.log);
  script.defaults.mutable_run()->set_score("induction");
  script.defaults.mutable_run()->set_seed(18446744073709551615u);
  script.defaults.mutable_prompts()->add_lag_values(8);
  for (int layer = 0; layer < n_layers; ++layer) {
    v1::LayerScores* scores = script.log.emplace_back().mutable_layer_scores();
    scores->set_model(profile.model());
    scores->set_layer(static_cast<uint32_t>(layer));
    scores->set_n_layers(static_cast<uint32_t>(n_layers));
    scores->add_kinds()->set_kind("induction");
    for (int head = 0; head < n_heads; ++head)
      scores->mutable_kinds(0)->add_scores(profile.per_layer(layer) / (head + 1));
    v1::JobProgress* progress = script.log.emplace_back().mutable_progress();
    progress->set_n_layers(static_cast<uint32_t>(n_layers));
    progress->set_layers_done(static_cast<uint32_t>(layer + 1));
    progress->set_fraction((layer + 1.0) / n_layers);
  }
  script.artifacts[ScoresFile(profile.model())] = MakeScores(profile);
  script.artifacts[ProfileFile(profile.model())] = *ToJson(profile);
  script.artifacts["prompts.txt"] = std::string(5000, 'x') + "\n";
  for (const auto& [name, bytes] : script.artifacts) script.log.push_back(ArtifactEvent(name, bytes));
  v1::JobFinished* finished = script.log.emplace_back().mutable_finished();
  *finished->mutable_result()->mutable_profile() = profile;
  finished->mutable_seconds()->set_running(1.5);
  finished->add_warnings("lag 2 is below min_lag");
  Renumber(&script.log);
  return script;
}

}  // namespace induct::client
