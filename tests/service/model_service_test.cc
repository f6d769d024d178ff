// ModelService over an in-process channel, with the bundled demo models and a budget that holds either of
// them, but not both.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/status.h"
#include "google/rpc/error_details.pb.h"
#include "server/service/grpc_server.h"
#include "server/service/load_threads.h"

namespace induct::service {
namespace {

using grpc::StatusCode;
using ::testing::HasSubstr;

constexpr int64_t kBudget = 5'000'000;  // float32: demo-small takes 2.6 MB, demo-large 4.8 MB
constexpr int kMaxConcurrentLoads = 2;

// What the reason of a call's status is.
std::string ReasonOfCall(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details()) || details.details().empty()) return "";
  return details.details(0).UnpackTo(&info) ? info.reason() : "";
}

class ModelServiceTest : public ::testing::Test {
 protected:
  ModelServiceTest()
      : registry_({.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}, .budgets = {{"cpu", kBudget}}}),
        pool_(2),
        threads_(kMaxConcurrentLoads) {
    context_ = {.pool = &pool_, .slow_pool = &pool_, .load_threads = &threads_, .registry = &registry_};
    context_.limits = {.dtypes = {DType::kFloat32}, .device = "cpu"};
    context_.info.add_devices()->set_name("cpu");
    context_.info.mutable_limits()->set_max_request_bytes(1 << 20);
    server_ = GrpcServer::Start("", context_).value();
    stub_ = v1::ModelService::NewStub(server_->server().InProcessChannel({}));
  }
  ~ModelServiceTest() override {
    server_->Shutdown(absl::Now());
    server_.reset();
  }

  static v1::LoadModelRequest Request(const std::string& name) {
    v1::LoadModelRequest request;
    request.set_name(name);
    return request;
  }

  struct Loaded {
    grpc::Status status;
    std::vector<std::string> steps;
    v1::Model model;
  };
  Loaded Load(const v1::LoadModelRequest& request) {
    grpc::ClientContext call;
    const auto reader = stub_->LoadModel(&call, request);
    Loaded loaded;
    v1::LoadModelResponse response;
    while (reader->Read(&response)) {
      if (response.has_preparing()) loaded.steps.push_back(response.preparing().step());
      if (response.has_model()) loaded.model = response.model();
    }
    loaded.status = reader->Finish();
    return loaded;
  }

  v1::Model Get(const std::string& name) {
    v1::GetModelRequest request;
    request.set_name(name);
    grpc::ClientContext call;
    v1::Model model;
    EXPECT_TRUE(stub_->GetModel(&call, request, &model).ok());
    return model;
  }

  grpc::Status Unload(const std::string& name, v1::Model* model) {
    v1::UnloadModelRequest request;
    request.set_name(name);
    grpc::ClientContext call;
    return stub_->UnloadModel(&call, request, model);
  }

  // A model as a job would hold it.
  models::ModelHandle Hold(const std::string& name) {
    const auto files = registry_.Open(name).value();
    return registry_.Load(files, {}, models::WhenFull::kWait, {}, {}).value();
  }

  // A call that waits for room, and has said so.
  struct Waiting {
    grpc::ClientContext call;
    std::unique_ptr<grpc::ClientReader<v1::LoadModelResponse>> reader;
    v1::LoadModelResponse response;

    grpc::Status Finish() {
      while (reader->Read(&response)) {
      }
      return reader->Finish();
    }
  };
  std::unique_ptr<Waiting> StartToWait(const std::string& name) {
    auto waiting = std::make_unique<Waiting>();
    waiting->reader = stub_->LoadModel(&waiting->call, Request(name));
    while (!absl::StrContains(waiting->response.preparing().step(), "waiting")) {
      if (!waiting->reader->Read(&waiting->response)) {
        ADD_FAILURE() << "the load did not wait: " << waiting->reader->Finish().error_message();
        break;
      }
    }
    return waiting;
  }

  models::ModelRegistry registry_;
  BlockingPool pool_;
  LoadThreads threads_;
  ServiceContext context_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<v1::ModelService::Stub> stub_;
};

TEST_F(ModelServiceTest, AModelIsDescribedWithoutLoadingIt) {
  const v1::Model model = Get("demo-large");
  EXPECT_EQ(model.state(), "unloaded");
  EXPECT_EQ(model.n_layers() * 100 + model.n_heads(), 808);
  EXPECT_EQ(model.n_kv_heads(), 8);
  EXPECT_EQ(model.d_head() * model.n_heads(), model.d_model());
  EXPECT_EQ(model.d_mlp(), 256);
  EXPECT_EQ(model.stored_dtype(), "float16");
  EXPECT_EQ(model.stored_bytes(), 2 * static_cast<uint64_t>(model.n_parameters()));
  EXPECT_EQ(model.tokenizer(), "byte-level BPE, 512 tokens");
  EXPECT_EQ(model.n_letters(), 52);
  EXPECT_GT(model.n_names(), 40);
  EXPECT_EQ(model.resident_bytes() + model.n_pins(), 0);
  EXPECT_FALSE(model.has_last_use());
}

TEST_F(ModelServiceTest, AModelIsLoadedOnceAndUnloaded) {
  const Loaded loaded = Load(Request("demo-large"));
  ASSERT_TRUE(loaded.status.ok()) << loaded.status.error_message();
  EXPECT_EQ(loaded.model.state(), "available");
  EXPECT_GT(loaded.model.resident_bytes(), 4'000'000);
  EXPECT_GT(loaded.model.load_seconds(), 0);
  EXPECT_TRUE(loaded.model.has_last_use());
  EXPECT_EQ(loaded.model.n_pins(), 0);
  EXPECT_EQ(Load(Request("demo-large")).model.load_seconds(), loaded.model.load_seconds()) << "not again";

  v1::Model model;
  ASSERT_TRUE(Unload("demo-large", &model).ok());
  EXPECT_EQ(model.state(), "unloaded");
  EXPECT_EQ(model.resident_bytes(), 0);
  EXPECT_TRUE(Unload("demo-large", &model).ok()) << "nothing to do is no error";
}

TEST_F(ModelServiceTest, WhatCanNotBeLoadedSaysWhy) {
  EXPECT_EQ(Load(Request("../etc")).status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Load(Request("")).status.error_code(), StatusCode::INVALID_ARGUMENT);
  v1::LoadModelRequest dtype = Request("demo-small");
  dtype.set_dtype("float16");
  EXPECT_THAT(Load(dtype).status.error_message(), HasSubstr("it allows float32"));
  v1::LoadModelRequest device = Request("demo-small");
  device.set_device("cuda:7");
  const grpc::Status status = Load(device).status;
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("this server has cpu"));
  v1::Model model;
  EXPECT_EQ(Unload("nothing", &model).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ModelServiceTest, AModelInUseStays) {
  std::optional<models::ModelHandle> handle = Hold("demo-small");
  EXPECT_EQ(Get("demo-small").n_pins(), 1);
  v1::Model model;
  const grpc::Status status = Unload("demo-small", &model);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOfCall(status), reason::kModelInUse);
  EXPECT_EQ(Get("demo-small").state(), "available");
  handle.reset();
  EXPECT_TRUE(Unload("demo-small", &model).ok());
}

TEST_F(ModelServiceTest, ALoadEvictsWhatNobodyUsesAndWaitsForWhatSomebodyUses) {
  ASSERT_TRUE(Load(Request("demo-small")).status.ok());
  ASSERT_TRUE(Load(Request("demo-large")).status.ok());
  EXPECT_EQ(Get("demo-small").state(), "unloaded");
  std::optional<models::ModelHandle> handle = Hold("demo-large");
  const auto waiting = StartToWait("demo-small");
  handle.reset();
  EXPECT_TRUE(waiting->Finish().ok());
  EXPECT_EQ(waiting->response.model().state(), "available");
}

TEST_F(ModelServiceTest, AModelBeyondTheBudgetIsNotKeptLoaded) {
  models::ModelRegistry small(
      {.model_dirs = {INDUCT_SOURCE_DIR "/deploy/demo_models"}, .budgets = {{"cpu", 2'500'000}}});
  context_.registry = &small;
  const grpc::Status status = Load(Request("demo-large")).status;
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOfCall(status), reason::kModelTooLarge);
  EXPECT_THAT(status.error_message(), HasSubstr("jobs may use it"));
  context_.registry = &registry_;
}

TEST_F(ModelServiceTest, LoadsThatWaitHoldUpNoOtherCallAndBeyondTheLimitTheyAreRefused) {
  const models::ModelHandle handle = Hold("demo-large");
  const auto first = StartToWait("demo-small"), second = StartToWait("demo-small");
  const grpc::Status third = Load(Request("demo-small")).status;
  EXPECT_EQ(third.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOfCall(third), reason::kTooManyLoads);
  EXPECT_EQ(Get("demo-large").n_pins(), 1);
  first->call.TryCancel();
  EXPECT_EQ(first->Finish().error_code(), StatusCode::CANCELLED);
  second->call.TryCancel();
  EXPECT_EQ(second->Finish().error_code(), StatusCode::CANCELLED);
  while (Load(Request("demo-large")).status.error_code() == StatusCode::RESOURCE_EXHAUSTED)
    std::this_thread::yield();  // the cancelled ones give their threads back
}

TEST_F(ModelServiceTest, DrainingEndsLoadsWithUnavailable) {
  const models::ModelHandle handle = Hold("demo-large");
  const auto waiting = StartToWait("demo-small");
  threads_.Drain();
  const grpc::Status status = waiting->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOfCall(status), reason::kDraining);
  EXPECT_EQ(ReasonOfCall(Load(Request("demo-large")).status), reason::kDraining);
}

}  // namespace
}  // namespace induct::service
