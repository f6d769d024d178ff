// The services whole, over an in-process channel, with work that the tests steer instead of real runs: what
// is asserted here is how jobs, streams and errors reach a client. Runs with real models are in
// tests/integration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/service/grpc_server.h"
#include "tests/service/service_fixture.h"

namespace induct::service {
namespace {

using ::testing::HasSubstr;

TEST_F(ServiceTest, AStreamTellsTheWholeLifeOfAJobAndEndsWithOk) {
  script_.release.Notify();
  grpc::ClientContext context;
  auto reader = analysis_->RunProfile(&context, Request());
  const auto events = ReadUntil(*reader, Never);
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_FALSE(events.empty());
  EXPECT_THAT(Sequences(events), ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(events.back().finished().result().profile().model(), "m");
  const auto accepted =
      std::find_if(events.begin(), events.end(), [](const auto& event) { return event.has_accepted(); });
  EXPECT_THAT(accepted->accepted().job(), ::testing::StartsWith("jobs/"));
  EXPECT_EQ(accepted->accepted().server_id(), "SERVER");
  EXPECT_EQ(accepted->accepted().spec().profile().prompts().n_sequences(), 400);
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
  bad.mutable_spec()->mutable_evaluation()->set_high_score_quantile(2);
  EXPECT_EQ(status_of(bad).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  for (const char* model : {"nothing", "../m", "m/../m", "/etc", "", "a/b/c", "m/"}) {
    v1::RunProfileRequest unknown = Request();
    unknown.mutable_spec()->set_model(model);
    EXPECT_EQ(status_of(unknown).error_code(),
              *model ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::INVALID_ARGUMENT)
        << model;
  }
  v1::RunProfileRequest long_name = Request();
  long_name.mutable_spec()->set_model(std::string(30 << 20, 'm'));
  EXPECT_EQ(status_of(long_name).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::RunProfileRequest nearly = Request();
  nearly.mutable_spec()->set_model("mm");
  EXPECT_THAT(status_of(nearly).error_message(), HasSubstr("did you mean m?"));
}

TEST_F(ServiceTest, WhatIsRefusedBeforeThereIsAJobIsTold) {
  v1::RunProfileRequest unknown = Request(), wrong = Request();
  unknown.mutable_spec()->set_model("x");
  wrong.mutable_spec()->mutable_run()->set_seq_len(1);
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
  other.mutable_spec()->mutable_run()->set_seed(5);
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
    *request.mutable_spec()->mutable_profile() = Request().spec();
    return request;
  };
  v1::CrossSizeRequest cross_size;
  cross_size.mutable_spec()->add_models("m");
  cross_size.mutable_spec()->add_models("demo-small");
  v1::PatternRequest pattern = with_profile(v1::PatternRequest());
  pattern.mutable_spec()->mutable_head()->set_layer(1);
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
  EXPECT_EQ(response.jobs(0).state(), v1::Job::STATE_SUCCEEDED);
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
