// Requests: checks, defaults, and the work that they become.
#include "server/service/requests.h"

#include <algorithm>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/service/request_settings.h"

namespace induct::service {
namespace {

constexpr int kMaxLags = 64;
constexpr int kMaxTasks = 5;
constexpr int kMaxLagEdges = 63;
constexpr int kMaxHeads = 4096;
constexpr int kMinModels = 2;
constexpr int kMaxModels = 64;

bool IsGeneratedTask(const std::string& task) {
  return task == "ABAB" || task == "NAMES" || task == "RANDOM";
}
bool IsGivenTask(const std::string& task) { return task == "TEXT" || task == "TOKENS"; }

using Prompts = google::protobuf::RepeatedPtrField<v1::Prompt>;

absl::Status CheckGivenPrompts(const char* field, const Prompts& prompts, const RequestLimits& limits) {
  if (static_cast<uint32_t>(prompts.size()) > limits.max_prompts) {
    return InvalidField(
        field, absl::StrCat(prompts.size(), " prompts given, the server allows ", limits.max_prompts));
  }
  for (int i = 0; i < prompts.size(); ++i) {
    const v1::Prompt& prompt = prompts[i];
    const std::string path = absl::StrCat(field, "[", i, "]");
    if (!prompt.has_text() && prompt.token_ids().empty())
      return InvalidField(path, absl::StrCat("prompt ", i, ": it has neither text nor token_ids"));
    if (!prompt.task().empty() && !IsGivenTask(prompt.task()) && !IsGeneratedTask(prompt.task()))
      return InvalidField(path, absl::StrCat("prompt ", i, ": there is no task \"", prompt.task(), "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckGeneratedPrompts(const v1::RunProfileRequest& request, const RequestLimits& limits) {
  const v1::PromptSettings& prompts = request.prompts();
  for (const std::string& task : prompts.task_types()) {
    if (IsGivenTask(task)) {
      return InvalidField(
          "prompts.task_types",
          absl::StrCat(task,
                       " means prompts that are given, and none were; give them with --prompts "
                       "or --tokens, or choose of ABAB, NAMES, RANDOM"));
    }
  }
  if (prompts.n_sequences() > limits.max_prompts) {
    return InvalidField(
        "prompts.n_sequences",
        absl::StrCat(prompts.n_sequences(), " prompts asked, the server allows ", limits.max_prompts));
  }
  for (const uint32_t lag : prompts.lag_values()) {
    if (lag > request.run().seq_len() / 2) {
      return InvalidField("prompts.lag_values",
                          absl::StrCat("a block of ", lag, " tokens does not fit twice into seq_len ",
                                       request.run().seq_len()));
    }
  }
  return absl::OkStatus();
}

absl::Status ResolveDType(const RequestLimits& limits, v1::RunProfileRequest* request) {
  v1::RunSettings& run = *request->mutable_run();
  const auto allowed = [&](DType dtype) {
    return std::find(limits.dtypes.begin(), limits.dtypes.end(), dtype) != limits.dtypes.end();
  };
  if (run.dtype() == "auto") {
    const DType preferred = limits.device.starts_with("cuda") ? DType::kFloat16 : DType::kFloat32;
    run.set_dtype(std::string(DTypeName(allowed(preferred) ? preferred : limits.dtypes.front())));
  }
  if (allowed(*ParseDType(run.dtype()))) return absl::OkStatus();
  const auto name = [](std::string* out, DType dtype) {
    absl::StrAppend(out, std::string(DTypeName(dtype)));
  };
  return InvalidField("dtype", absl::StrCat(run.dtype(), " is not allowed by this server; it allows ",
                                            absl::StrJoin(limits.dtypes, ", ", name)));
}

absl::Status CheckLagEdges(const v1::RunProfileRequest& request) {
  const auto& edges = request.evaluation().lag_edges();
  const auto not_rising = std::adjacent_find(edges.begin(), edges.end(), std::greater_equal<>());
  if (not_rising == edges.end()) return absl::OkStatus();
  return InvalidField("evaluation.lag_edges",
                      absl::StrCat("edges must rise: ", *(not_rising + 1), " follows ", *not_rising));
}

// The tasks that given prompts make, in the order in which they come.
void ResolveTasksOfGiven(v1::RunProfileRequest* request) {
  std::set<std::string> seen;
  auto& tasks = *request->mutable_prompts()->mutable_task_types();
  tasks.Clear();
  for (v1::Prompt& prompt : *request->mutable_given_prompts()) {
    if (prompt.task().empty()) prompt.set_task(prompt.token_ids().empty() ? "TEXT" : "TOKENS");
    if (seen.insert(prompt.task()).second) *tasks.Add() = prompt.task();
  }
}

// Everything but the model's name.
absl::Status ResolveProfile(const Settings& server, const RequestLimits& limits,
                            v1::RunProfileRequest* request) {
  if (request->prompts().lag_values_size() > kMaxLags) {
    return InvalidField("prompts.lag_values", absl::StrCat(request->prompts().lag_values_size(),
                                                           " lags given, ", kMaxLags, " are allowed"));
  }
  if (request->prompts().task_types_size() > kMaxTasks) {
    return InvalidField("prompts.task_types", absl::StrCat(request->prompts().task_types_size(),
                                                           " tasks given, there are ", kMaxTasks));
  }
  if (request->evaluation().lag_edges_size() > kMaxLagEdges) {
    return InvalidField("evaluation.lag_edges", absl::StrCat(request->evaluation().lag_edges_size(),
                                                             " edges given, ", kMaxLagEdges, " are allowed"));
  }
  if (request->job().request_id().size() > 64)
    return InvalidField("job.request_id", "at most 64 characters are allowed");
  INDUCT_RETURN_IF_ERROR(ResolveSettings(server, request));
  INDUCT_RETURN_IF_ERROR(ResolveDType(limits, request));
  INDUCT_RETURN_IF_ERROR(CheckLagEdges(*request));
  if (request->given_prompts().empty()) return CheckGeneratedPrompts(*request, limits);
  INDUCT_RETURN_IF_ERROR(CheckGivenPrompts("given_prompts", request->given_prompts(), limits));
  ResolveTasksOfGiven(request);
  return absl::OkStatus();
}

std::vector<runs::GivenPrompt> GivenPrompts(const Prompts& prompts) {
  std::vector<runs::GivenPrompt> given;
  for (const v1::Prompt& prompt : prompts) {
    given.push_back({.task = prompt.task(),
                     .lag = prompt.lag(),
                     .text = prompt.has_text() ? std::optional(prompt.text()) : std::nullopt,
                     .token_ids = {prompt.token_ids().begin(), prompt.token_ids().end()},
                     .n_bos = prompt.n_bos()});
  }
  return given;
}

}  // namespace

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::RunProfileRequest* request) {
  if (request->model().empty()) return InvalidField("model", "a model's name is needed");
  return ResolveProfile(server, limits, request);
}

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::CrossSizeRequest* request) {
  const int n_models = request->models_size();
  if (n_models < kMinModels || n_models > kMaxModels) {
    return InvalidField(
        "models", absl::StrCat(n_models, n_models == 1 ? " model" : " models", " given; a comparison takes ",
                               kMinModels, " to ", kMaxModels));
  }
  std::set<std::string> seen;
  for (const std::string& model : request->models()) {
    if (model.empty()) return InvalidField("models", "a model's name is empty");
    if (!seen.insert(model).second) return InvalidField("models", absl::StrCat(model, " is given twice"));
  }
  if (!request->profile().model().empty())
    return InvalidField("profile.model", "the models of a comparison stand in the field models");
  return ResolveProfile(server, limits, request->mutable_profile());
}

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::NullsRequest* request) {
  return Resolve(server, limits, request->mutable_profile());
}

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::CausalRequest* request) {
  INDUCT_RETURN_IF_ERROR(Resolve(server, limits, request->mutable_profile()));
  if (request->heads_size() > kMaxHeads) {
    return InvalidField("heads",
                        absl::StrCat(request->heads_size(), " heads given, ", kMaxHeads, " are allowed"));
  }
  std::set<std::pair<uint32_t, uint32_t>> seen;
  for (const v1::HeadRef& head : request->heads()) {
    if (!seen.emplace(head.layer(), head.head()).second)
      return InvalidField("heads", absl::StrCat("head ", head.layer(), ".", head.head(), " is given twice"));
  }
  INDUCT_RETURN_IF_ERROR(CheckGivenPrompts("control_prompts", request->control_prompts(), limits));
  const v1::RunProfileRequest& profile = request->profile();
  const uint64_t n_prompts = profile.given_prompts().empty()
                                 ? profile.prompts().n_sequences()
                                 : static_cast<uint64_t>(profile.given_prompts_size());
  const uint64_t n_all = n_prompts + static_cast<uint64_t>(request->control_prompts_size());
  if (n_all <= limits.max_prompts) return absl::OkStatus();
  return InvalidField(
      "control_prompts",
      absl::StrCat(n_all, " prompts with the control prompts, the server allows ", limits.max_prompts));
}

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::LagBucketsRequest* request) {
  INDUCT_RETURN_IF_ERROR(Resolve(server, limits, request->mutable_profile()));
  if (request->profile().run().score() != "previous") return absl::OkStatus();
  return InvalidField("score",
                      "the score kind previous has no lags; lag buckets are of induction or duplicate");
}

absl::Status Resolve(const Settings& server, const RequestLimits& limits, v1::PatternRequest* request) {
  INDUCT_RETURN_IF_ERROR(Resolve(server, limits, request->mutable_profile()));
  return request->has_head() ? absl::OkStatus() : InvalidField("head", "a head is needed: layer and head");
}

runs::RunRequest FromMessage(const v1::RunProfileRequest& request, const RequestLimits& limits) {
  const v1::RunSettings& run = request.run();
  const v1::PromptSettings& prompts = request.prompts();
  runs::RunRequest plain{
      .models = {request.model()}, .dtype = *ParseDType(run.dtype()), .memory_saver = run.memory_saver()};
  plain.prompts = {.given = GivenPrompts(request.given_prompts()),
                   .task_types = {prompts.task_types().begin(), prompts.task_types().end()},
                   .lag_values = {prompts.lag_values().begin(), prompts.lag_values().end()},
                   .n_sequences = prompts.n_sequences(),
                   .uniform_mix = prompts.mix() == "uniform",
                   .n_repeats = prompts.n_repeats(),
                   .prepend_bos = prompts.prepend_bos(),
                   .seq_len = run.seq_len(),
                   .min_lag = run.min_lag(),
                   .seed = run.seed()};
  plain.options = {.score = *analysis::ParseScoreKind(run.score()),
                   .antecedents = *analysis::ParseAntecedents(run.antecedents()),
                   .min_lag = run.min_lag(),
                   .aggregation = *analysis::ParseAggregation(run.aggregation()),
                   .high_score_quantile = request.evaluation().high_score_quantile(),
                   .bootstrap_resamples = request.evaluation().bootstrap_resamples(),
                   .seed = run.seed(),
                   .batch_size = run.batch_size(),
                   .activation_budget = limits.activation_budget};
  return plain;
}

std::unique_ptr<jobs::Work> MakeWork(const v1::RunProfileRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  return runs::NewProfileRun(FromMessage(request, limits), environment);
}

std::unique_ptr<jobs::Work> MakeWork(const v1::CrossSizeRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  runs::RunRequest plain = FromMessage(request.profile(), limits);
  plain.models = {request.models().begin(), request.models().end()};
  return runs::NewCrossSizeRun(std::move(plain), environment);
}

std::unique_ptr<jobs::Work> MakeWork(const v1::NullsRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  const v1::EvaluationSettings& evaluation = request.profile().evaluation();
  return runs::NewNullsRun(FromMessage(request.profile(), limits),
                           {.shuffle = evaluation.shuffle_null(),
                            .head_permutation = evaluation.head_permutation_null(),
                            .null_resamples = evaluation.null_resamples(),
                            .permutation_resamples = evaluation.permutation_resamples()},
                           environment);
}

std::unique_ptr<jobs::Work> MakeWork(const v1::CausalRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  const v1::EvaluationSettings& evaluation = request.profile().evaluation();
  analysis::CausalOptions options{
      .top_k = evaluation.causal_top_k(),
      .random_k = evaluation.causal_random_k(),
      .random_draws = evaluation.random_draws(),
      .ablation = evaluation.ablation() == "mean" ? analysis::Ablation::kMean : analysis::Ablation::kZero};
  for (const v1::HeadRef& head : request.heads()) options.heads.push_back({head.layer(), head.head()});
  return runs::NewCausalRun(FromMessage(request.profile(), limits), options,
                            GivenPrompts(request.control_prompts()), environment);
}

std::unique_ptr<jobs::Work> MakeWork(const v1::LagBucketsRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  const auto& edges = request.profile().evaluation().lag_edges();
  return runs::NewLagBucketsRun(FromMessage(request.profile(), limits), {edges.begin(), edges.end()},
                                environment);
}

std::unique_ptr<jobs::Work> MakeWork(const v1::PatternRequest& request, const RequestLimits& limits,
                                     const runs::RunEnvironment& environment) {
  return runs::NewPatternRun(FromMessage(request.profile(), limits),
                             {request.head().layer(), request.head().head()}, request.prompt(), environment);
}

}  // namespace induct::service
