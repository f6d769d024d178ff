// A server in this process whose work plays what a test's script says.
#pragma once

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
#include "server/service/spec_settings.h"
#include "tests/metrics/told.h"

namespace induct::service {

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
    finished.mutable_finished()->mutable_result()->mutable_profile()->set_model("m");
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
  absl::StatusOr<std::vector<jobs::JobRecord>> List(const jobs::JobFilter& wanted, const std::string& before,
                                                    size_t limit) const override {
    return store_->List(wanted, before, limit);
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
    request.mutable_spec()->set_model("m");
    if (!id.empty()) request.mutable_options()->set_request_id(id);
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

}  // namespace induct::service
