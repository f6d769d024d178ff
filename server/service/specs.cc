#include "server/service/specs.h"

#include <algorithm>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "proto/job_specs.h"
#include "server/service/job_kind.h"
#include "server/service/spec_settings.h"

namespace induct::service {
namespace {

constexpr int kMaxLags = 64;
constexpr int kMaxTasks = 5;
constexpr int kMaxLagEdges = 63;
constexpr int kMaxAnnotations = 32;
constexpr size_t kMaxAnnotationName = 64;
constexpr size_t kMaxAnnotationBytes = size_t{16} << 10;  // of all

bool IsGeneratedTask(const std::string& task) {
  return task == "ABAB" || task == "NAMES" || task == "RANDOM";
}
bool IsGivenTask(const std::string& task) { return task == "TEXT" || task == "TOKENS"; }

absl::Status CheckGeneratedPrompts(const v1::ProfileSpec& profile, const SpecLimits& limits) {
  const v1::PromptSettings& prompts = profile.prompts();
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
    if (lag > profile.run().seq_len() / 2) {
      return InvalidField("prompts.lag_values",
                          absl::StrCat("a block of ", lag, " tokens does not fit twice into seq_len ",
                                       profile.run().seq_len()));
    }
  }
  return absl::OkStatus();
}

absl::Status ResolveDType(const SpecLimits& limits, v1::ProfileSpec* profile) {
  v1::RunSettings& run = *profile->mutable_run();
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

absl::Status CheckLagEdges(const v1::ProfileSpec& profile) {
  const auto& edges = profile.evaluation().lag_edges();
  const auto not_rising = std::adjacent_find(edges.begin(), edges.end(), std::greater_equal<>());
  if (not_rising == edges.end()) return absl::OkStatus();
  return InvalidField("evaluation.lag_edges",
                      absl::StrCat("edges must rise: ", *(not_rising + 1), " follows ", *not_rising));
}

// The tasks that given prompts make, in the order in which they come.
void ResolveTasksOfGiven(v1::ProfileSpec* profile) {
  std::set<std::string> seen;
  auto& tasks = *profile->mutable_prompts()->mutable_task_types();
  tasks.Clear();
  for (v1::Prompt& prompt : *profile->mutable_given_prompts()) {
    if (prompt.task().empty()) prompt.set_task(prompt.token_ids().empty() ? "TEXT" : "TOKENS");
    if (seen.insert(prompt.task()).second) *tasks.Add() = prompt.task();
  }
}

absl::Status CheckSizes(const v1::ProfileSpec& profile) {
  const int n_lags = profile.prompts().lag_values_size(), n_tasks = profile.prompts().task_types_size(),
            n_edges = profile.evaluation().lag_edges_size();
  if (n_lags > kMaxLags)
    return InvalidField("prompts.lag_values",
                        absl::StrCat(n_lags, " lags given, ", kMaxLags, " are allowed"));
  if (n_tasks > kMaxTasks)
    return InvalidField("prompts.task_types", absl::StrCat(n_tasks, " tasks given, there are ", kMaxTasks));
  if (n_edges > kMaxLagEdges)
    return InvalidField("evaluation.lag_edges",
                        absl::StrCat(n_edges, " edges given, ", kMaxLagEdges, " are allowed"));
  return absl::OkStatus();
}

absl::Status CheckOptions(const v1::JobOptions& options) {
  if (options.request_id().size() > 64)
    return InvalidField("job.request_id", "at most 64 characters are allowed");
  if (options.annotations_size() > kMaxAnnotations) {
    return InvalidField("job.annotations", absl::StrCat(options.annotations_size(), " given, ",
                                                        kMaxAnnotations, " are allowed"));
  }
  size_t bytes = 0;
  for (const auto& [name, text] : options.annotations()) {
    if (name.empty() || name.size() > kMaxAnnotationName) {
      return InvalidField("job.annotations", absl::StrCat("a name of ", name.size(), " bytes; 1 to ",
                                                          kMaxAnnotationName, " are allowed"));
    }
    bytes += name.size() + text.size();
  }
  if (bytes <= kMaxAnnotationBytes) return absl::OkStatus();
  return InvalidField("job.annotations",
                      absl::StrCat(bytes, " bytes in all, ", kMaxAnnotationBytes, " are allowed"));
}

}  // namespace

absl::Status Resolve(const Settings& server, const SpecLimits& limits, v1::JobSpec* spec) {
  const JobKind* kind = FindKind(KindOf(*spec));
  if (kind == nullptr) {
    return InvalidField("spec",
                        "it has no analysis that this server knows; a client of another version has another "
                        "contract: use the same version of induct-client and induct-server");
  }
  const std::vector<std::string> models = ModelsOf(*spec);
  if (std::ranges::find(models, "") != models.end())
    return InvalidField(models.size() == 1 ? "model" : "models", "a model's name is needed");
  v1::ProfileSpec* profile = MutableProfileOf(spec);
  INDUCT_RETURN_IF_ERROR(CheckSizes(*profile));
  INDUCT_RETURN_IF_ERROR(CheckOptions(spec->options()));
  INDUCT_RETURN_IF_ERROR(ResolveSettings(server, spec));
  INDUCT_RETURN_IF_ERROR(ResolveDType(limits, profile));
  INDUCT_RETURN_IF_ERROR(CheckLagEdges(*profile));
  if (profile->given_prompts().empty()) {
    INDUCT_RETURN_IF_ERROR(CheckGeneratedPrompts(*profile, limits));
  } else {
    INDUCT_RETURN_IF_ERROR(CheckGivenPrompts("given_prompts", profile->given_prompts(), limits));
    ResolveTasksOfGiven(profile);
  }
  return kind->check(*spec, limits);
}

absl::Status CheckGivenPrompts(const char* field, const GivenPromptMessages& prompts,
                               const SpecLimits& limits) {
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

std::vector<runs::GivenPrompt> GivenPrompts(const GivenPromptMessages& prompts) {
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

runs::RunRequest FromMessage(const v1::JobSpec& spec, const SpecLimits& limits) {
  const v1::ProfileSpec& profile = ProfileOf(spec);
  const v1::RunSettings& run = profile.run();
  const v1::PromptSettings& prompts = profile.prompts();
  runs::RunRequest plain{
      .models = ModelsOf(spec), .dtype = *ParseDType(run.dtype()), .memory_saver = run.memory_saver()};
  plain.prompts = {.given = GivenPrompts(profile.given_prompts()),
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
                   .high_score_quantile = profile.evaluation().high_score_quantile(),
                   .bootstrap_resamples = profile.evaluation().bootstrap_resamples(),
                   .seed = run.seed(),
                   .batch_size = run.batch_size(),
                   .activation_budget = limits.activation_budget};
  return plain;
}

}  // namespace induct::service
