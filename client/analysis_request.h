// A request of any analysis: what commands make, and streams submit.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "grpcpp/client_context.h"
#include "grpcpp/support/sync_stream.h"
#include "induct/v1/analysis_service.grpc.pb.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/job.pb.h"
#include "induct/v1/lag_buckets.pb.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/pattern.pb.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

using AnalysisRequest = std::variant<v1::RunProfileRequest, v1::CrossSizeRequest, v1::NullsRequest,
                                     v1::CausalRequest, v1::LagBucketsRequest, v1::PatternRequest>;

// The profile that the analysis begins with.
const v1::RunProfileRequest& ProfileOf(const AnalysisRequest& request);
v1::RunProfileRequest* MutableProfileOf(AnalysisRequest* request);

// The models that it names.
std::vector<std::string> ModelsOf(const AnalysisRequest& request);

// Submits it by its kind's call.
std::unique_ptr<grpc::ClientReader<v1::JobEvent>> Submit(v1::AnalysisService::Stub& stub,
                                                         grpc::ClientContext* context,
                                                         const AnalysisRequest& request);

// What the request asks, whatever it is called: SHA-256 of its kind and its fields without the request id.
std::string RequestSha256(const AnalysisRequest& request);

// Flags that repeat the run with its config.yaml, from another folder than its own, which they call RUN:
// files for what was given, what is no setting, and `labels` where they are other than the models' names.
// `first_model` as the server named its files. Empty where the settings alone do. One line of text that a
// shell reads.
std::string FlagsToRepeat(const AnalysisRequest& request, const std::string& first_model,
                          const std::vector<std::string>& labels);

}  // namespace induct::client
