#include "server/runs/result_files.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/status.h"

namespace induct::runs {
namespace {

constexpr char kNpy[] = "application/x-npy";

std::string PromptsJsonl(std::span<const analysis::Prompt> prompts) {
  std::string lines;
  for (const analysis::Prompt& prompt : prompts) {
    nlohmann::ordered_json line = {{"task", prompt.task}, {"lag", prompt.lag}};
    if (!prompt.text.empty()) line["text"] = prompt.text;
    line["token_ids"] = prompt.tokens;
    line["n_bos"] = prompt.n_bos;
    absl::StrAppend(&lines, line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "\n");
  }
  return lines;
}

// Line i is prompt i: line breaks inside a text are written as escapes, prompts made of ids leave an empty
// line.
std::string PromptTexts(std::span<const analysis::Prompt> prompts) {
  std::string lines;
  for (const analysis::Prompt& prompt : prompts) {
    absl::StrAppend(&lines, absl::StrReplaceAll(prompt.text, {{"\n", "\\n"}, {"\r", "\\r"}}), "\n");
  }
  return lines;
}

}  // namespace

absl::Status WritePromptFile(const std::string& name, std::span<const analysis::Prompt> prompts,
                             const FileSink& sink) {
  return sink(name, "application/x-ndjson", PromptsJsonl(prompts));
}

absl::Status WritePromptTexts(std::span<const analysis::Prompt> prompts, const FileSink& sink) {
  const bool any_text =
      std::any_of(prompts.begin(), prompts.end(), [](const auto& prompt) { return !prompt.text.empty(); });
  return any_text ? sink(kPromptTextsFile, "text/plain; charset=utf-8", PromptTexts(prompts))
                  : absl::OkStatus();
}

absl::Status WriteScoreFiles(const std::string& model, const analysis::ProfileResult& result,
                             const FileSink& sink) {
  const std::array<int64_t, 2> heads = {result.n_layers, result.n_heads};
  for (const analysis::HeadScores& scores : result.scores) {
    const std::string kind(analysis::ScoreKindName(scores.kind));
    INDUCT_RETURN_IF_ERROR(sink(KindScoresFile(model, kind), kNpy, NpyBytes(scores.values, heads)));
    if (scores.kind != result.options.score) continue;
    INDUCT_RETURN_IF_ERROR(sink(ScoresFile(model), kNpy, NpyBytes(scores.values, heads)));
  }
  const std::array<int64_t, 3> by_prompt = {result.n_prompts, result.n_layers, result.n_heads};
  INDUCT_RETURN_IF_ERROR(sink(PromptScoresFile(model), kNpy, NpyBytes(result.prompt_scores, by_prompt)));
  const std::array<int64_t, 1> prompts = {result.n_prompts};
  return sink(PromptCountsFile(model), kNpy, NpyBytes(result.prompt_counts, prompts));
}

}  // namespace induct::runs
