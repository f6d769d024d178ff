// The services whole, over an in-process channel, with work that the tests steer instead of real runs: what
// is asserted here is how jobs, streams and errors reach a client. Runs with real models are in
// tests/integration.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "server/service/grpc_server.h"
#include "server/service/messages.h"
#include "server/service/request_settings.h"
#include "tests/metrics/told.h"

namespace induct::service {
namespace {

using ::testing::HasSubstr;

// A job's work as a test plays it.
struct Script {
  absl::Notification running;  // set when Run begins
  absl::Notification release;  // Run goes on when this is set, or when it is asked to stop
  int layers = 2;
  std::string artifact;  // bytes of an artifact to leave; empty: none
  absl::Status result;
};

class ScriptedWork : public jobs::Work {
 public:
  explicit ScriptedWork(Script* script) : script_(script) {}

  absl::Status Prepare(jobs::JobContext&) override { return absl::OkStatus(); }

  absl::StatusOr<std::string> Run(jobs::JobContext& context) override {
    if (!script_->running.HasBeenNotified()) script_->running.Notify();
    const std::stop_callback stopped(context.stop(), [this] { stopped_.Notify(); });
    while (!script_->release.HasBeenNotified() && !stopped_.HasBeenNotified())
      stopped_.WaitForNotificationWithTimeout(absl::Milliseconds(1));
    if (stopped_.HasBeenNotified()) return absl::CancelledError("stopped");
    for (int layer = 0; layer < script_->layers; ++layer) {
      INDUCT_RETURN_IF_ERROR(context.Emit(
          RunEvents().LayerScores("m", script_->layers, {.layer = static_cast<uint32_t>(layer)})));
    }
    if (!script_->artifact.empty())
      INDUCT_RETURN_IF_ERROR(context.PutArtifact("a.bin", "application/octet-stream", script_->artifact));
    INDUCT_RETURN_IF_ERROR(script_->result);
    v1::JobEvent finished;
    finished.mutable_finished()->mutable_profile()->set_model("m");
    return finished.SerializeAsString();
  }

 private:
  Script* const script_;
  absl::Notification stopped_;
};

// The memory store, with a gate before every read of events, as a disk that hangs would be.
class GatedStore : public jobs::JobStore {
 public:
  explicit GatedStore(std::unique_ptr<jobs::JobStore> store) : store_(std::move(store)) {}

  void Close() { SetOpen(false); }
  void Open() { SetOpen(true); }
  int waiting() const {
    absl::MutexLock lock(&mutex_);
    return waiting_;
  }

  absl::StatusOr<std::vector<jobs::StoredEvent>> ReadEvents(const std::string& job, uint64_t after,
                                                            size_t max_bytes) const override {
    {
      absl::MutexLock lock(&mutex_);
      ++waiting_;
      mutex_.Await(absl::Condition(&open_));
      --waiting_;
    }
    return store_->ReadEvents(job, after, max_bytes);
  }
  bool durable() const override { return store_->durable(); }
  absl::StatusOr<std::vector<jobs::JobRecord>> ListLive() const override { return store_->ListLive(); }
  absl::Status Create(const jobs::JobRecord& record) override { return store_->Create(record); }
  absl::StatusOr<uint64_t> Update(const jobs::JobRecord& record, const jobs::StoredEvent* event) override {
    return store_->Update(record, event);
  }
  absl::StatusOr<uint64_t> PutArtifact(const std::string& job, uint32_t attempt,
                                       const jobs::ArtifactDescriptor& descriptor,
                                       std::string bytes) override {
    return store_->PutArtifact(job, attempt, descriptor, std::move(bytes));
  }
  absl::StatusOr<jobs::JobRecord> Get(const std::string& job) const override { return store_->Get(job); }
  absl::StatusOr<std::optional<jobs::JobRecord>> FindRequest(const std::string& owner,
                                                             const std::string& id) const override {
    return store_->FindRequest(owner, id);
  }
  absl::StatusOr<std::vector<jobs::JobRecord>> List(const std::string& owner, const std::string& before,
                                                    size_t limit) const override {
    return store_->List(owner, before, limit);
  }
  absl::StatusOr<std::string> ReadArtifact(const std::string& job, const std::string& name,
                                           const std::string& sha256, uint64_t offset,
                                           size_t limit) const override {
    return store_->ReadArtifact(job, name, sha256, offset, limit);
  }
  Kept kept() const override { return store_->kept(); }
  absl::Status Delete(const std::string& job) override { return store_->Delete(job); }

 private:
  void SetOpen(bool open) {
    absl::MutexLock lock(&mutex_);
    open_ = open;
  }

  const std::unique_ptr<jobs::JobStore> store_;
  mutable absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = true;
  mutable int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class ServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/service_test.XXXXXX";
    model_dir_ = mkdtemp(pattern.data());
    // A folder of this name is enough for a request to be accepted: the scripted work reads nothing.
    std::filesystem::create_directory(model_dir_ + "/m");
    std::ofstream(model_dir_ + "/m/config.json") << "{}";
    registry_ = std::make_unique<models::ModelRegistry>(
        models::RegistryOptions{.model_dirs = {model_dir_, INDUCT_SOURCE_DIR "/deploy/demo_models"}});
    store_ = std::make_unique<GatedStore>(jobs::NewMemoryJobStore({}));
    pool_ = std::make_unique<BlockingPool>(4);
    Start({.max_queued = 2, .disconnect_grace = absl::InfiniteDuration()});
  }

  void Start(const jobs::SchedulerOptions& options) {
    scheduler_ = jobs::Scheduler::Create(
        options, store_.get(), [this](const jobs::JobRecord&) -> absl::StatusOr<std::unique_ptr<jobs::Work>> {
          return std::make_unique<ScriptedWork>(&script_);
        });
    context_ = {.pool = pool_.get(),
                .slow_pool = pool_.get(),
                .scheduler = scheduler_.get(),
                .store = store_.get(),
                .registry = registry_.get(),
                .recorder = &told_};
    ASSERT_TRUE(context_.settings.SetText(*FindSettingKey("heartbeat_seconds"), "0.05").ok());
    context_.limits = {.dtypes = {DType::kFloat32}, .device = "cpu"};
    context_.info.set_id("SERVER");
    context_.info.mutable_limits()->set_max_request_bytes(64 << 20);
    server_ = GrpcServer::Start("", context_).value();
    channel_ = server_->server().InProcessChannel({});
    analysis_ = v1::AnalysisService::NewStub(channel_);
    jobs_ = v1::JobService::NewStub(channel_);
  }

  void TearDown() override {
    store_->Open();
    if (!script_.release.HasBeenNotified()) script_.release.Notify();
    server_->Shutdown(absl::Now());
    scheduler_.reset();
    server_.reset();
    pool_.reset();
    std::filesystem::remove_all(model_dir_);
  }

  static v1::RunProfileRequest Request(const std::string& id = "") {
    v1::RunProfileRequest request;
    request.set_model("m");
    if (!id.empty()) request.mutable_job()->set_request_id(id);
    return request;
  }

  // The events of a stream up to and with the first for which `last` holds; all of them where none does.
  static std::vector<v1::JobEvent> ReadUntil(grpc::ClientReader<v1::JobEvent>& reader,
                                             const std::function<bool(const v1::JobEvent&)>& last) {
    std::vector<v1::JobEvent> events;
    v1::JobEvent event;
    while (reader.Read(&event)) {
      events.push_back(event);
      if (last(event)) break;
    }
    return events;
  }
  static bool Never(const v1::JobEvent&) { return false; }

  static std::vector<uint64_t> Sequences(const std::vector<v1::JobEvent>& events) {
    std::vector<uint64_t> sequences;
    for (const auto& event : events) {
      if (event.has_sequence()) sequences.push_back(event.sequence());
    }
    return sequences;
  }

  // Submits a job and returns its name, its stream left open.
  std::string Submit(grpc::ClientContext* context,
                     std::unique_ptr<grpc::ClientReader<v1::JobEvent>>* reader) {
    *reader = analysis_->RunProfile(context, Request());
    const auto events = ReadUntil(**reader, [](const auto& event) { return event.has_accepted(); });
    return events.empty() ? "" : events.back().accepted().job();
  }

  // How often the recorder was told that.
  int64_t Told(const std::string& line) const {
    const std::vector<std::string> lines = told_.lines();
    return std::count(lines.begin(), lines.end(), line);
  }

  // grpc.health.v1's answer for the whole server, or why there was none in time. Debian has no generated code
  // for it: the response is one enum field, SERVING = 1.
  std::string HealthWithin(absl::Duration limit) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext call;
    call.set_deadline(absl::ToChronoTime(absl::Now() + limit));
    const grpc::Slice empty;
    grpc::ByteBuffer request(&empty, 1), response;
    grpc::Status status;
    absl::Notification done;
    stub.UnaryCall(&call, "/grpc.health.v1.Health/Check", {}, &request, &response, [&](grpc::Status s) {
      status = std::move(s);
      done.Notify();
    });
    done.WaitForNotification();
    grpc::Slice slice;
    if (!status.ok() || !response.DumpToSingleSlice(&slice).ok()) return status.error_message();
    const std::string bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return bytes == "\x08\x01" ? "SERVING" : "NOT_SERVING";
  }

  std::string model_dir_;
  metrics::Told told_;
  Script script_;
  std::unique_ptr<models::ModelRegistry> registry_;
  std::unique_ptr<GatedStore> store_;
  std::unique_ptr<BlockingPool> pool_;
  std::unique_ptr<jobs::Scheduler> scheduler_;
  ServiceContext context_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AnalysisService::Stub> analysis_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

TEST_F(ServiceTest, AStreamTellsTheWholeLifeOfAJobAndEndsWithOk) {
  script_.release.Notify();
  grpc::ClientContext context;
  auto reader = analysis_->RunProfile(&context, Request());
  const auto events = ReadUntil(*reader, Never);
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_FALSE(events.empty());
  EXPECT_THAT(Sequences(events), ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(events.back().finished().profile().model(), "m");
  const auto accepted =
      std::find_if(events.begin(), events.end(), [](const auto& event) { return event.has_accepted(); });
  EXPECT_THAT(accepted->accepted().job(), ::testing::StartsWith("jobs/"));
  EXPECT_EQ(accepted->accepted().server_id(), "SERVER");
  EXPECT_EQ(accepted->accepted().resolved_request().prompts().n_sequences(), 400);
}

TEST_F(ServiceTest, ReAttachingMissesNothingAndRepeatsNothing) {
  script_.layers = 5;
  grpc::ClientContext first;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  const std::string job = Submit(&first, &reader);
  first.TryCancel();  // the stream breaks after `accepted`
  ReadUntil(*reader, Never);
  script_.release.Notify();
  v1::WatchJobRequest watch;
  watch.set_name(job);
  watch.set_after_sequence(1);
  grpc::ClientContext second;
  auto again = jobs_->WatchJob(&second, watch);
  EXPECT_THAT(Sequences(ReadUntil(*again, Never)), ::testing::ElementsAre(2, 3, 4, 5, 6, 7));
  EXPECT_TRUE(again->Finish().ok());
}

TEST_F(ServiceTest, AnIdleStreamSendsHeartbeats) {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  Submit(&context, &reader);
  const auto events = ReadUntil(*reader, [](const auto& event) { return event.has_heartbeat(); });
  EXPECT_TRUE(events.back().has_heartbeat());
  EXPECT_FALSE(events.back().has_sequence());
  context.TryCancel();
}

TEST_F(ServiceTest, HealthAnswersWhileTheLogsReaderAndTheWorkAreBlocked) {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  const std::string job = Submit(&context, &reader);
  script_.running.WaitForNotification();  // the work blocks
  store_->Close();  // and so does every reader of the log, more of them than the pool has threads
  v1::WatchJobRequest watch;
  watch.set_name(job);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::JobEvent>>> readers;
  for (int i = 0; i < 8; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(jobs_->WatchJob(contexts.back().get(), watch));
  }
  while (store_->waiting() < 4) std::this_thread::yield();

  for (int i = 0; i < 20; ++i) EXPECT_EQ(HealthWithin(absl::Milliseconds(100)), "SERVING");
  for (auto& call : contexts) call->TryCancel();
  context.TryCancel();
}

TEST_F(ServiceTest, CancellingEndsTheStreamWithCancelled) {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  const std::string job = Submit(&context, &reader);
  script_.running.WaitForNotification();
  v1::CancelJobRequest cancel;
  cancel.set_name(job);
  grpc::ClientContext call;
  v1::Job answer;
  ASSERT_TRUE(jobs_->CancelJob(&call, cancel, &answer).ok());
  const auto events = ReadUntil(*reader, Never);
  EXPECT_TRUE(events.back().has_cancelled());
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ServiceTest, AFailedJobCarriesTheStatusOfItsError) {
  script_.result = WithReason(absl::InvalidArgumentError("nothing comes back"), reason::kNoCopyOperations);
  script_.release.Notify();
  grpc::ClientContext context;
  auto reader = analysis_->RunProfile(&context, Request());
  const auto events = ReadUntil(*reader, Never);
  EXPECT_TRUE(reader->Finish().ok());  // the call did what it was asked
  EXPECT_EQ(events.back().failed().code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(events.back().failed().message(), "nothing comes back");
}

TEST_F(ServiceTest, WhatCanBeToldFromTheRequestIsTheCallsStatus) {
  const auto status_of = [&](const v1::RunProfileRequest& request) {
    grpc::ClientContext context;
    auto reader = analysis_->RunProfile(&context, request);
    ReadUntil(*reader, Never);
    return reader->Finish();
  };
  v1::RunProfileRequest bad = Request();
  bad.mutable_evaluation()->set_high_score_quantile(2);
  EXPECT_EQ(status_of(bad).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  for (const char* model : {"nothing", "../m", "m/../m", "/etc", "", "a/b/c", "m/"}) {
    v1::RunProfileRequest unknown = Request();
    unknown.set_model(model);
    EXPECT_EQ(status_of(unknown).error_code(),
              *model ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::INVALID_ARGUMENT)
        << model;
  }
  v1::RunProfileRequest long_name = Request();
  long_name.set_model(std::string(30 << 20, 'm'));
  EXPECT_EQ(status_of(long_name).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::RunProfileRequest nearly = Request();
  nearly.set_model("mm");
  EXPECT_THAT(status_of(nearly).error_message(), HasSubstr("did you mean m?"));
}

TEST_F(ServiceTest, WhatIsRefusedBeforeThereIsAJobIsTold) {
  v1::RunProfileRequest unknown = Request(), wrong = Request();
  unknown.set_model("x");
  wrong.mutable_run()->set_seq_len(1);
  for (const v1::RunProfileRequest& request : {unknown, wrong}) {
    grpc::ClientContext context;
    EXPECT_FALSE(analysis_->RunProfile(&context, request)->Finish().ok());
  }
  v1::WatchJobRequest watch;  // asks for no job
  watch.set_name("jobs/NONE");
  grpc::ClientContext context;
  EXPECT_FALSE(jobs_->WatchJob(&context, watch)->Finish().ok());
  EXPECT_EQ(Told("rejected MODEL_NOT_FOUND"), 1);
  EXPECT_EQ(Told("rejected INVALID_FIELD"), 1);
  EXPECT_EQ(Told("rejected JOB_NOT_FOUND"), 0);
}

TEST_F(ServiceTest, StreamsAreToldWhenTheyOpenAndCloseAndWhoClosedThem) {
  grpc::ClientContext gone, stays;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  const std::string job = Submit(&gone, &reader);
  EXPECT_EQ(Told("stream opened"), 1);
  EXPECT_EQ(Told("stream closed") + Told("stream closed by its client"), 0);
  gone.TryCancel();
  ReadUntil(*reader, Never);
  while (Told("stream closed by its client") == 0) std::this_thread::yield();

  script_.release.Notify();
  v1::WatchJobRequest watch;
  watch.set_name(job);
  auto again = jobs_->WatchJob(&stays, watch);
  ReadUntil(*again, Never);
  EXPECT_TRUE(again->Finish().ok());
  while (Told("stream closed") == 0) std::this_thread::yield();
  EXPECT_EQ(Told("stream opened"), 2);
  EXPECT_EQ(Told("stream closed by its client"), 1);
}

TEST_F(ServiceTest, TheSameRequestIdGivesTheSameJobAndAnotherRequestIsRefused) {
  const auto job_of = [&](const v1::RunProfileRequest& request, grpc::Status* status) {
    grpc::ClientContext context;
    auto reader = analysis_->RunProfile(&context, request);
    const auto events = ReadUntil(*reader, [](const auto& event) { return event.has_accepted(); });
    if (!events.empty()) context.TryCancel();
    ReadUntil(*reader, Never);
    *status = reader->Finish();
    return events.empty() ? "" : events.back().accepted().job();
  };
  grpc::Status status;
  const std::string job = job_of(Request("id-1"), &status);
  EXPECT_EQ(job_of(Request("id-1"), &status), job);
  v1::RunProfileRequest other = Request("id-1");
  other.mutable_run()->set_seed(5);
  EXPECT_EQ(job_of(other, &status), "");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(ServiceTest, EveryKindOfAnalysisIsAJobOfItsName) {
  const auto submit = [&](auto&& call) {
    grpc::ClientContext context;
    const auto reader = call(&context);
    ReadUntil(*reader, [](const auto& event) { return event.has_accepted(); });
    context.TryCancel();
    ReadUntil(*reader, Never);
    reader->Finish();
  };
  const auto with_profile = [](auto request) {
    *request.mutable_profile() = Request();
    return request;
  };
  v1::CrossSizeRequest cross_size;
  cross_size.add_models("m");
  cross_size.add_models("demo-small");
  v1::PatternRequest pattern = with_profile(v1::PatternRequest());
  pattern.mutable_head()->set_layer(1);
  scheduler_.reset();
  server_->Shutdown(absl::Now());
  Start({.max_queued = 10, .disconnect_grace = absl::InfiniteDuration()});
  submit([&](auto* context) { return analysis_->RunProfile(context, Request()); });
  submit([&](auto* context) { return analysis_->CrossSize(context, cross_size); });
  submit([&](auto* context) { return analysis_->Nulls(context, with_profile(v1::NullsRequest())); });
  submit([&](auto* context) { return analysis_->Causal(context, with_profile(v1::CausalRequest())); });
  submit(
      [&](auto* context) { return analysis_->LagBuckets(context, with_profile(v1::LagBucketsRequest())); });
  submit([&](auto* context) { return analysis_->Pattern(context, pattern); });
  grpc::ClientContext context;
  v1::ListJobsResponse listed;
  ASSERT_TRUE(jobs_->ListJobs(&context, v1::ListJobsRequest(), &listed).ok());
  std::vector<std::string> kinds;
  for (const v1::Job& job : listed.jobs()) kinds.push_back(job.kind());
  EXPECT_THAT(kinds,
              testing::ElementsAre("pattern", "lagbuckets", "causal", "nulls", "crosssize", "profile"));
  ASSERT_EQ(listed.jobs_size(), 6);
  EXPECT_THAT(listed.jobs(4).models(), testing::ElementsAre("m", "demo-small"));
}

TEST_F(ServiceTest, AFullQueueIsResourceExhausted) {
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::JobEvent>>> readers;
  grpc::Status status;
  for (int i = 0; i < 8 && status.ok(); ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(analysis_->RunProfile(contexts.back().get(), Request()));
    if (ReadUntil(*readers.back(), [](const auto& event) { return event.has_accepted(); }).empty())
      status = readers.back()->Finish();
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  for (auto& context : contexts) context->TryCancel();
}

TEST_F(ServiceTest, ArtifactsAreReadFromAnyOffset) {
  for (int i = 0; i < 3 << 20; ++i) script_.artifact += static_cast<char>(i * 7);
  script_.release.Notify();
  grpc::ClientContext context;
  auto reader = analysis_->RunProfile(&context, Request());
  std::string job;
  v1::Artifact artifact;
  for (const auto& event : ReadUntil(*reader, Never)) {
    if (event.has_accepted()) job = event.accepted().job();
    if (event.has_artifact()) artifact = event.artifact();
  }
  EXPECT_EQ(artifact.size(), script_.artifact.size());
  const auto read = [&](uint64_t offset, const std::string& sha256, grpc::Status* status) {
    v1::ReadArtifactRequest request;
    request.set_job(job);
    request.set_name("a.bin");
    request.set_sha256(sha256);
    request.set_offset(offset);
    grpc::ClientContext call;
    auto chunks = jobs_->ReadArtifact(&call, request);
    std::string bytes;
    v1::ReadArtifactResponse chunk;
    while (chunks->Read(&chunk)) {
      EXPECT_LE(chunk.ByteSizeLong(), 1 << 20);
      bytes += chunk.data();
    }
    *status = chunks->Finish();
    return bytes;
  };
  grpc::Status status;
  EXPECT_EQ(read(0, artifact.sha256(), &status), script_.artifact);
  EXPECT_EQ(read((2 << 20) + 5, artifact.sha256(), &status), script_.artifact.substr((2 << 20) + 5));
  read(0, std::string(64, '0'), &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  read(script_.artifact.size() + 1, artifact.sha256(), &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
}

TEST_F(ServiceTest, JobsAreListedNewestFirstInPages) {
  script_.release.Notify();
  std::vector<std::string> names;
  // One after another: the scripted work notifies once only.
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader;
  names.push_back(Submit(&context, &reader));
  ReadUntil(*reader, Never);
  v1::ListJobsRequest request;
  request.set_page_size(1);
  grpc::ClientContext call;
  v1::ListJobsResponse response;
  ASSERT_TRUE(jobs_->ListJobs(&call, request, &response).ok());
  ASSERT_EQ(response.jobs_size(), 1);
  EXPECT_EQ(response.jobs(0).name(), names[0]);
  EXPECT_EQ(response.jobs(0).state(), "succeeded");
  EXPECT_EQ(response.jobs(0).models(0), "m");
  EXPECT_EQ(response.next_page_token(), "");
  request.set_page_token("garbage");
  grpc::ClientContext no_page;
  EXPECT_EQ(jobs_->ListJobs(&no_page, request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_page_size(1001);
  grpc::ClientContext too_many;
  EXPECT_EQ(jobs_->ListJobs(&too_many, request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServiceTest, PreviewsComeInSmallMessagesWhateverTheTextsAre) {
  v1::PreviewPromptsRequest request;
  request.mutable_profile()->set_model("demo-small");
  std::string text;
  while (text.size() < 9 << 20) text += " A b";
  request.mutable_profile()->add_given_prompts()->set_text(text);
  text.resize(40000);
  for (int i = 0; i < 40; ++i) request.mutable_profile()->add_given_prompts()->set_text(text);
  grpc::ClientContext call;
  auto reader = analysis_->PreviewPrompts(&call, request);
  v1::PreviewPromptsResponse message;
  int prompts = 0, messages = 0;
  while (reader->Read(&message)) {
    EXPECT_LE(message.ByteSizeLong(), 1 << 20);
    if (messages++ == 0) {
      EXPECT_THAT(message.warnings(0), HasSubstr("41 prompts were cut"));
    }
    prompts += message.prompts_size();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(prompts, 41);
  EXPECT_GT(messages, 1);
}

TEST_F(ServiceTest, ModelsAreListedWithTheirProblems) {
  auto models = v1::ModelService::NewStub(channel_);
  grpc::ClientContext call;
  v1::ListModelsResponse response;
  ASSERT_TRUE(models->ListModels(&call, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 3);
  EXPECT_EQ(response.models(0).name(), "demo-large");
  EXPECT_EQ(response.models(0).n_layers(), 8);
  EXPECT_TRUE(response.models(0).has_tokenizer());
  EXPECT_EQ(response.models(2).name(), "m");
  EXPECT_NE(response.models(2).problem(), "");
  v1::GetModelRequest get;
  get.set_name("m");
  grpc::ClientContext broken;
  v1::Model model;
  EXPECT_EQ(models->GetModel(&broken, get, &model).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ServiceTest, UnknownJobsAreNotFound) {
  v1::GetJobRequest get;
  get.set_name("jobs/NONE");
  grpc::ClientContext call;
  v1::Job job;
  EXPECT_EQ(jobs_->GetJob(&call, get, &job).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::WatchJobRequest watch;
  watch.set_name("jobs/NONE");
  grpc::ClientContext watching;
  auto reader = jobs_->WatchJob(&watching, watch);
  ReadUntil(*reader, Never);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(GrpcServer, APortInUseIsAnErrorThatNamesIt) {
  BlockingPool pool(1);
  ServiceContext context{.pool = &pool, .slow_pool = &pool};
  context.info.mutable_limits()->set_max_request_bytes(1 << 20);
  const auto first = GrpcServer::Start("127.0.0.1:0", context);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = GrpcServer::Start((*first)->address(), context);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr((*first)->address()));
  for (const char* bad : {"nowhere", "host:", ":50051", "host:70000", "fd:-1", "fd:9999", "unix:"}) {
    EXPECT_EQ(GrpcServer::Start(bad, context).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
  (*first)->Shutdown(absl::Now());
}

TEST(GrpcServer, AddressesThatOnlyThisMachineReachesAreTold) {
  for (const char* local : {"127.0.0.1:50051", "127.9.9.9:1", "localhost:50051", "[::1]:50051"}) {
    EXPECT_TRUE(IsLoopback(local)) << local;
  }
  for (const char* open : {"0.0.0.0:50051", "[::]:50051", "gpu01:50051", "unix:/run/induct", "fd:3"}) {
    EXPECT_FALSE(IsLoopback(open)) << open;
  }
}

}  // namespace
}  // namespace induct::service
