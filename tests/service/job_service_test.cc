// Jobs that are created, looked at, listed and deleted by calls of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/job_specs.h"
#include "tests/service/service_fixture.h"

namespace induct::service {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class JobServiceTest : public ServiceTest {
 protected:
  static v1::JobSpec Spec(const std::string& request_id = "") {
    v1::JobSpec spec;
    spec.mutable_nulls()->mutable_profile()->set_model("m");
    if (!request_id.empty()) spec.mutable_options()->set_request_id(request_id);
    return spec;
  }

  v1::Job Create(const v1::JobSpec& spec, grpc::Status* status, const std::string& user = "ada") {
    v1::CreateJobRequest request;
    *request.mutable_spec() = spec;
    grpc::ClientContext context;
    context.AddMetadata("induct-user", user);
    v1::Job job;
    *status = jobs_->CreateJob(&context, request, &job);
    return job;
  }
  v1::Job Create(const v1::JobSpec& spec, const std::string& user = "ada") {
    grpc::Status status;
    v1::Job job = Create(spec, &status, user);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  v1::Job Get(const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::Job job;
    EXPECT_TRUE(jobs_->GetJob(&context, request, &job).ok());
    return job;
  }

  std::vector<v1::JobEvent> Watch(const std::string& name) {
    v1::WatchJobRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    return ReadUntil(*jobs_->WatchJob(&context, request), Never);
  }

  std::vector<std::string> List(const std::function<void(v1::ListJobsRequest&)>& ask) {
    v1::ListJobsRequest request;
    ask(request);
    grpc::ClientContext context;
    context.AddMetadata("induct-user", "ada");
    v1::ListJobsResponse response;
    EXPECT_TRUE(jobs_->ListJobs(&context, request, &response).ok());
    std::vector<std::string> names;
    for (const v1::Job& job : response.jobs()) names.push_back(job.name());
    return names;
  }

  grpc::Status Delete(const std::string& name) {
    v1::DeleteJobRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteJobResponse response;
    return jobs_->DeleteJob(&context, request, &response);
  }
};

TEST_F(JobServiceTest, AJobIsCreatedByOneCallAndFollowedByAnother) {
  script_.release.Notify();
  const v1::Job created = Create(Spec());
  EXPECT_EQ(created.kind(), "nulls");
  EXPECT_EQ(created.owner(), "ada");
  EXPECT_EQ(created.spec().nulls().profile().prompts().n_sequences(), 400);  // the default, filled in
  const auto events = Watch(created.name());
  EXPECT_THAT(Sequences(events), ElementsAre(1, 2, 3, 4));
  EXPECT_TRUE(events.back().has_finished());
}

TEST_F(JobServiceTest, AJobTellsWhatWasAskedWithoutItsPromptsAndWhatItMade) {
  script_.artifact = "bytes";
  script_.release.Notify();
  v1::JobSpec spec = Spec("id-1");
  (*spec.mutable_options()->mutable_annotations())["command"] = "nulls";
  spec.mutable_nulls()->mutable_profile()->add_given_prompts()->set_text("a b a b");
  spec.mutable_nulls()->mutable_profile()->add_given_prompts()->add_token_ids(1);
  const v1::Job created = Create(spec);
  Watch(created.name());
  const v1::Job job = Get(created.name());
  const v1::ProfileSpec& profile = job.spec().nulls().profile();
  EXPECT_THAT(profile.given_prompts(), IsEmpty());
  EXPECT_EQ(profile.n_given_prompts(), 2u);
  EXPECT_THAT(profile.prompts().task_types(), ElementsAre("TEXT", "TOKENS"));
  EXPECT_EQ(job.spec().options().annotations().at("command"), "nulls");
  EXPECT_FALSE(job.spec().options().has_request_id());
  EXPECT_EQ(job.request_sha256(), SpecSha256(spec));
  EXPECT_EQ(job.state(), v1::Job::STATE_SUCCEEDED);
  ASSERT_EQ(job.artifacts_size(), 1);
  EXPECT_EQ(job.artifacts(0).name(), "a.bin");
  EXPECT_EQ(job.artifacts(0).size(), 5);
  EXPECT_TRUE(job.has_seconds());
  EXPECT_TRUE(job.has_create_time() && job.has_start_time() && job.has_end_time());
}

TEST_F(JobServiceTest, ARequestIdStandsForWhatWasSentWhateverIsAnnotated) {
  const std::string job = Create(Spec("id-1")).name();
  v1::JobSpec annotated = Spec("id-1");
  (*annotated.mutable_options()->mutable_annotations())["label"] = "another";
  EXPECT_EQ(Create(annotated).name(), job);
  EXPECT_NE(Create(Spec("id-1"), "bob").name(), job);
  v1::JobSpec other = Spec("id-1");
  other.mutable_nulls()->mutable_profile()->mutable_run()->set_seed(5);
  grpc::Status status;
  Create(other, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(JobServiceTest, WhatIsNoSpecIsRefusedAndNothingIsCreated) {
  grpc::Status status;
  Create(v1::JobSpec(), &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(List([](v1::ListJobsRequest&) {}), IsEmpty());
}

// The client of the contract before: a RunProfileRequest whose first field is the model's name.
TEST_F(JobServiceTest, AClientOfAnEarlierContractIsTold) {
  v1::RunProfileRequest old;
  old.GetReflection()->MutableUnknownFields(&old)->AddLengthDelimited(1, "m");
  grpc::ClientContext context;
  const grpc::Status status = analysis_->RunProfile(&context, old)->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("the same version of induct-client and induct-server"));
}

TEST_F(JobServiceTest, AClientOfAnotherContractIsToldWhenItAsksWhoTheServerIs) {
  auto server = v1::ServerService::NewStub(channel_);
  const auto ask = [&](const std::vector<std::pair<std::string, std::string>>& metadata) {
    grpc::ClientContext context;
    for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
    v1::ServerInfo info;
    return server->GetServerInfo(&context, {}, &info);
  };
  EXPECT_TRUE(ask({}).ok());  // no client of ours: reflection tells it the contract
  EXPECT_TRUE(ask({{"induct-user", "ada"}, {"induct-contract", "1"}}).ok());
  for (const auto& metadata : {std::vector<std::pair<std::string, std::string>>{{"induct-user", "ada"}},
                               {{"induct-user", "ada"}, {"induct-contract", "2"}}}) {
    const grpc::Status status = ask(metadata);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_THAT(status.error_message(), HasSubstr("another contract"));
  }
}

TEST_F(JobServiceTest, ListsAreFiltered) {
  scheduler_.reset();
  server_->Shutdown(absl::Now());
  Start({.max_queued = 10, .disconnect_grace = absl::InfiniteDuration()});
  v1::JobSpec of_demo;
  of_demo.mutable_profile()->set_model("demo-small");
  const std::string first = Create(Spec()).name(), second = Create(of_demo, "bob").name();
  script_.running.WaitForNotification();
  using L = v1::ListJobsRequest&;
  EXPECT_THAT(List([](L) {}), ElementsAre(second, first));
  EXPECT_THAT(List([](L list) { list.set_mine(true); }), ElementsAre(first));
  EXPECT_THAT(List([](L list) { list.set_owner("bob"); }), ElementsAre(second));
  EXPECT_THAT(List([](L list) { list.set_model("demo-small"); }), ElementsAre(second));
  EXPECT_THAT(List([](L list) { list.add_kinds("nulls"); }), ElementsAre(first));
  EXPECT_THAT(List([](L list) { list.add_states(v1::Job::STATE_RUNNING); }), ElementsAre(first));
  EXPECT_THAT(List([](L list) { list.add_states(v1::Job::STATE_FAILED); }), IsEmpty());
  const v1::Job job = Get(first);
  EXPECT_THAT(List([&](L list) { *list.mutable_created_before() = job.create_time(); }), IsEmpty());
  EXPECT_THAT(List([&](L list) { *list.mutable_created_from() = job.create_time(); }),
              ElementsAre(second, first));
}

TEST_F(JobServiceTest, AFilterOfNoKindOrStateIsRefused) {
  v1::ListJobsRequest kind, state;
  kind.add_kinds("copying");
  state.add_states(v1::Job::STATE_UNSPECIFIED);
  for (const v1::ListJobsRequest& request : {kind, state}) {
    grpc::ClientContext context;
    v1::ListJobsResponse response;
    EXPECT_EQ(jobs_->ListJobs(&context, request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(JobServiceTest, AJobIsForgottenOnceItHasEnded) {
  const std::string job = Create(Spec()).name();
  EXPECT_EQ(Delete(job).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  script_.release.Notify();
  Watch(job);
  EXPECT_TRUE(Delete(job).ok());
  EXPECT_EQ(Delete(job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(JobServiceTest, TheServerTellsHowItStandsAndDoesNotDrainByACall) {
  context_.status = [] {
    v1::ServerStatus status;
    status.set_queued_jobs(3);
    return status;
  };
  auto server = v1::ServerService::NewStub(channel_);
  grpc::ClientContext asking, draining;
  v1::ServerStatus status;
  ASSERT_TRUE(server->GetServerStatus(&asking, {}, &status).ok());
  EXPECT_EQ(status.queued_jobs(), 3u);
  v1::DrainResponse ignored;
  const grpc::Status refused = server->Drain(&draining, {}, &ignored);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("SIGTERM"));
}

TEST_F(JobServiceTest, ModelsAreListedInPages) {
  auto models = v1::ModelService::NewStub(channel_);
  std::vector<std::string> names;
  v1::ListModelsRequest request;
  request.set_page_size(2);
  v1::ListModelsResponse response;
  do {
    grpc::ClientContext context;
    response.Clear();
    ASSERT_TRUE(models->ListModels(&context, request, &response).ok());
    EXPECT_LE(response.models_size(), 2);
    for (const v1::Model& model : response.models()) names.push_back(model.name());
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  EXPECT_THAT(names, ElementsAre("demo-large", "demo-small", "m"));
  request.set_page_size(1001);
  grpc::ClientContext context;
  EXPECT_EQ(models->ListModels(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace induct::service
