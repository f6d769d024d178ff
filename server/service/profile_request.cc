// RunProfile's request: checks, defaults, and the plain form that server/runs takes.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/service/profile_messages.h"
#include "server/service/request_settings.h"

namespace induct::service {
namespace {

constexpr int kMaxLags = 64;
constexpr int kMaxTasks = 5;

bool IsGeneratedTask(const std::string& task) {
  return task == "ABAB" || task == "NAMES" || task == "RANDOM";
}
bool IsGivenTask(const std::string& task) { return task == "TEXT" || task == "TOKENS"; }

absl::Status CheckGivenPrompts(const v1::RunProfileRequest& request, const RequestLimits& limits) {
  if (static_cast<uint32_t>(request.given_prompts_size()) > limits.max_prompts) {
    return InvalidField(
        "given_prompts",
        absl::StrCat(request.given_prompts_size(), " prompts given, the server allows ", limits.max_prompts));
  }
  for (int i = 0; i < request.given_prompts_size(); ++i) {
    const v1::Prompt& prompt = request.given_prompts(i);
    if (!prompt.has_text() && prompt.token_ids().empty()) {
      return InvalidField("given_prompts",
                          absl::StrCat("prompt ", i + 1, ": it has neither text nor token_ids"));
    }
    if (!prompt.task().empty() && !IsGivenTask(prompt.task()) && !IsGeneratedTask(prompt.task())) {
      return InvalidField("given_prompts",
                          absl::StrCat("prompt ", i + 1, ": there is no task \"", prompt.task(), "\""));
    }
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

}  // namespace

absl::Status ResolveProfileRequest(const Settings& server, const RequestLimits& limits,
                                   v1::RunProfileRequest* request) {
  if (request->model().empty()) return InvalidField("model", "a model's name is needed");
  if (request->prompts().lag_values_size() > kMaxLags) {
    return InvalidField("prompts.lag_values", absl::StrCat(request->prompts().lag_values_size(),
                                                           " lags given, ", kMaxLags, " are allowed"));
  }
  if (request->prompts().task_types_size() > kMaxTasks) {
    return InvalidField("prompts.task_types", absl::StrCat(request->prompts().task_types_size(),
                                                           " tasks given, there are ", kMaxTasks));
  }
  if (request->job().request_id().size() > 64)
    return InvalidField("job.request_id", "at most 64 characters are allowed");
  INDUCT_RETURN_IF_ERROR(ResolveSettings(server, request));
  INDUCT_RETURN_IF_ERROR(ResolveDType(limits, request));
  if (request->given_prompts().empty()) return CheckGeneratedPrompts(*request, limits);
  INDUCT_RETURN_IF_ERROR(CheckGivenPrompts(*request, limits));
  ResolveTasksOfGiven(request);
  return absl::OkStatus();
}

runs::ProfileRequest FromMessage(const v1::RunProfileRequest& request, const RequestLimits& limits) {
  const v1::RunSettings& run = request.run();
  const v1::PromptSettings& prompts = request.prompts();
  runs::ProfileRequest plain{
      .model = request.model(), .dtype = *ParseDType(run.dtype()), .memory_saver = run.memory_saver()};
  plain.prompts = {.task_types = {prompts.task_types().begin(), prompts.task_types().end()},
                   .lag_values = {prompts.lag_values().begin(), prompts.lag_values().end()},
                   .n_sequences = prompts.n_sequences(),
                   .uniform_mix = prompts.mix() == "uniform",
                   .n_repeats = prompts.n_repeats(),
                   .prepend_bos = prompts.prepend_bos(),
                   .seq_len = run.seq_len(),
                   .min_lag = run.min_lag(),
                   .seed = run.seed()};
  for (const v1::Prompt& prompt : request.given_prompts()) {
    plain.prompts.given.push_back({.task = prompt.task(),
                                   .lag = prompt.lag(),
                                   .text = prompt.has_text() ? std::optional(prompt.text()) : std::nullopt,
                                   .token_ids = {prompt.token_ids().begin(), prompt.token_ids().end()},
                                   .n_bos = prompt.n_bos()});
  }
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

}  // namespace induct::service
