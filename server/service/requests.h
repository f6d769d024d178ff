// Requests of every kind of job: checks and defaults, and the work that they become. What the kinds have in
// common is the profile that their analysis begins with.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/settings.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/lag_buckets.pb.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/pattern.pb.h"
#include "induct/v1/profile.pb.h"
#include "server/runs/run.h"

namespace induct::service {

// What a server allows and has, as far as requests meet it.
struct RequestLimits {
  uint32_t max_prompts = 100000;
  std::vector<DType> dtypes;
  std::string device;  // resolved name; decides what dtype `auto` is
  int64_t activation_budget = int64_t{4} << 30;
};

// The profile within a request.
inline v1::RunProfileRequest* MutableProfile(v1::RunProfileRequest* request) { return request; }
template <typename Request>
v1::RunProfileRequest* MutableProfile(Request* request) {
  return request->mutable_profile();
}

// The models that a request names.
inline std::vector<std::string> ModelsOf(const v1::RunProfileRequest& request) { return {request.model()}; }
inline std::vector<std::string> ModelsOf(const v1::CrossSizeRequest& request) {
  return {request.models().begin(), request.models().end()};
}
template <typename Request>
std::vector<std::string> ModelsOf(const Request& request) {
  return ModelsOf(request.profile());
}

inline std::vector<std::string*> MutableModelsOf(v1::RunProfileRequest* request) {
  return {request->mutable_model()};
}
inline std::vector<std::string*> MutableModelsOf(v1::CrossSizeRequest* request) {
  return {request->mutable_models()->pointer_begin(), request->mutable_models()->pointer_end()};
}
template <typename Request>
std::vector<std::string*> MutableModelsOf(Request* request) {
  return MutableModelsOf(request->mutable_profile());
}

// The kind of job that a request becomes, as jobs and run directories are called.
constexpr const char* KindOf(const v1::RunProfileRequest*) { return "profile"; }
constexpr const char* KindOf(const v1::CrossSizeRequest*) { return "crosssize"; }
constexpr const char* KindOf(const v1::NullsRequest*) { return "nulls"; }
constexpr const char* KindOf(const v1::CausalRequest*) { return "causal"; }
constexpr const char* KindOf(const v1::LagBucketsRequest*) { return "lagbuckets"; }
constexpr const char* KindOf(const v1::PatternRequest*) { return "pattern"; }

// All of them.
inline constexpr std::string_view kJobKinds[] = {"profile", "crosssize",  "nulls",
                                                 "causal",  "lagbuckets", "pattern"};

// Checks the request and fills in what it leaves open: every setting, the dtype that `auto` means, the tasks
// of given prompts. INVALID_ARGUMENT naming the field for anything that can be told without the model.
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::RunProfileRequest* request);
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::CrossSizeRequest* request);
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::NullsRequest* request);
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::CausalRequest* request);
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::LagBucketsRequest* request);
absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::PatternRequest* request);

// REQUIRES, of all that follow: the request is resolved.
runs::RunRequest FromMessage(const v1::RunProfileRequest& request, const RequestLimits& limits);

// `environment` must outlive the work.
std::unique_ptr<jobs::Work> MakeWork(const v1::RunProfileRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);
std::unique_ptr<jobs::Work> MakeWork(const v1::CrossSizeRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);
std::unique_ptr<jobs::Work> MakeWork(const v1::NullsRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);
std::unique_ptr<jobs::Work> MakeWork(const v1::CausalRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);
std::unique_ptr<jobs::Work> MakeWork(const v1::LagBucketsRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);
std::unique_ptr<jobs::Work> MakeWork(const v1::PatternRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment);

}  // namespace induct::service
