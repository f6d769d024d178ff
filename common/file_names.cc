#include "common/file_names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace induct {
namespace {

bool IsPlain(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

absl::string_view View(std::string_view s) { return {s.data(), s.size()}; }

}  // namespace

bool IsRelativePath(std::string_view model) {
  if (model == "." || model == ".." || model.starts_with("./") || model.starts_with("../")) return true;
  if (model.starts_with('/')) return false;
  const std::string_view name = model.substr(0, model.rfind('@'));
  return std::count(name.begin(), name.end(), '/') > 1;
}

std::string PlainFileName(std::string_view text) {
  std::string name(text);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !IsPlain(c); }, '_');
  if (name.starts_with('.')) name.front() = '_';
  return name;
}

std::string ModelFileName(std::string_view model) {
  if (!model.starts_with('/') && !IsRelativePath(model)) return PlainFileName(model);
  while (model.ends_with('/')) model.remove_suffix(1);
  return PlainFileName(model.substr(model.rfind('/') + 1));
}

std::string ScoresFile(std::string_view model) { return absl::StrCat("scores_", View(model), ".npy"); }
std::string KindScoresFile(std::string_view model, std::string_view kind) {
  return absl::StrCat("scores_", View(model), "_", View(kind), ".npy");
}
std::string ProfileFile(std::string_view model) { return absl::StrCat("profile_", View(model), ".json"); }
std::string PromptsFile(std::string_view model) { return absl::StrCat("prompts_", View(model), ".jsonl"); }
std::string PromptScoresFile(std::string_view model) {
  return absl::StrCat("prompt_scores_", View(model), ".npy");
}
std::string PromptCountsFile(std::string_view model) {
  return absl::StrCat("prompt_counts_", View(model), ".npy");
}

std::string NullsFile(std::string_view model) { return absl::StrCat("nulls_", View(model), ".json"); }
std::string CausalFile(std::string_view model) { return absl::StrCat("causal_", View(model), ".json"); }
std::string ControlPromptsFile(std::string_view model) {
  return absl::StrCat("control_prompts_", View(model), ".jsonl");
}
std::string LagBucketsFile(std::string_view model) {
  return absl::StrCat("lag_buckets_", View(model), ".json");
}
std::string PatternFile(std::string_view model) { return absl::StrCat("pattern_", View(model), ".json"); }
std::string PatternArrayFile(std::string_view model) { return absl::StrCat("pattern_", View(model), ".npy"); }

bool IsSafeFileName(std::string_view name) {
  return !name.empty() && name.size() <= 200 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), IsPlain);
}

}  // namespace induct
