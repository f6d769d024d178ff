#include "client/analysis_request.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/sha256.h"

namespace induct::client {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

std::string HeadText(const v1::HeadRef& head) { return absl::StrCat(head.layer(), ".", head.head()); }

std::string HeadsText(const v1::CausalRequest& causal) {
  return absl::StrJoin(causal.heads(), ",", [](std::string* out, const v1::HeadRef& head) {
    absl::StrAppend(out, HeadText(head));
  });
}

// As a shell's word, on one line whatever the text holds.
std::string ShellQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(Printable(text), {{"'", "'\\''"}}), "'");
}

std::string LabelFlag(const std::vector<std::string>& labels) {
  return absl::StrCat("--labels ", absl::StrJoin(labels, " ", [](std::string* out, const std::string& label) {
                        absl::StrAppend(out, ShellQuoted(label));
                      }));
}

}  // namespace

const v1::RunProfileRequest& ProfileOf(const AnalysisRequest& request) {
  return std::visit(
      Overloaded{[](const v1::RunProfileRequest& profile) -> const v1::RunProfileRequest& { return profile; },
                 [](const auto& other) -> const v1::RunProfileRequest& { return other.profile(); }},
      request);
}

v1::RunProfileRequest* MutableProfileOf(AnalysisRequest* request) {
  return std::visit(Overloaded{[](v1::RunProfileRequest& profile) { return &profile; },
                               [](auto& other) { return other.mutable_profile(); }},
                    *request);
}

std::vector<std::string> ModelsOf(const AnalysisRequest& request) {
  if (const auto* several = std::get_if<v1::CrossSizeRequest>(&request))
    return {several->models().begin(), several->models().end()};
  return {ProfileOf(request).model()};
}

std::unique_ptr<grpc::ClientReader<v1::JobEvent>> Submit(v1::AnalysisService::Stub& stub,
                                                         grpc::ClientContext* context,
                                                         const AnalysisRequest& request) {
  return std::visit(
      Overloaded{[&](const v1::RunProfileRequest& profile) { return stub.RunProfile(context, profile); },
                 [&](const v1::CrossSizeRequest& cross_size) { return stub.CrossSize(context, cross_size); },
                 [&](const v1::NullsRequest& nulls) { return stub.Nulls(context, nulls); },
                 [&](const v1::CausalRequest& causal) { return stub.Causal(context, causal); },
                 [&](const v1::LagBucketsRequest& lags) { return stub.LagBuckets(context, lags); },
                 [&](const v1::PatternRequest& pattern) { return stub.Pattern(context, pattern); }},
      request);
}

std::string RequestSha256(const AnalysisRequest& request) {
  AnalysisRequest plain = request;
  MutableProfileOf(&plain)->mutable_job()->clear_request_id();
  return std::visit(
      [](const auto& of_kind) {
        return Sha256Hex(absl::StrCat(of_kind.GetTypeName(), "\n", of_kind.SerializeAsString()));
      },
      plain);
}

std::string FlagsToRepeat(const AnalysisRequest& request, const std::string& first_model,
                          const std::vector<std::string>& labels) {
  const std::string first = ModelFileName(first_model);
  std::vector<std::string> flags;
  if (!ProfileOf(request).given_prompts().empty())
    flags.push_back(absl::StrCat("--prompts RUN/", PromptsFile(first)));
  if (const auto* causal = std::get_if<v1::CausalRequest>(&request)) {
    if (!causal->control_prompts().empty())
      flags.push_back(absl::StrCat("--control_prompts RUN/", ControlPromptsFile(first)));
    if (!causal->heads().empty()) flags.push_back(absl::StrCat("--heads ", HeadsText(*causal)));
  }
  if (const auto* pattern = std::get_if<v1::PatternRequest>(&request))
    flags.push_back(absl::StrCat("--head ", HeadText(pattern->head()), " --prompt ", pattern->prompt()));
  if (labels != ModelsOf(request)) flags.push_back(LabelFlag(labels));
  return absl::StrJoin(flags, " ");
}

}  // namespace induct::client
