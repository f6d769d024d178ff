// Names of the files that a run leaves, in one place for the server that names artifacts and the client that
// saves them.
#pragma once

#include <string>
#include <string_view>

namespace induct {

// Whether a model's name can only be a path relative to some folder: its first part is "." or "..", or it has
// more slashes than "org/name" (those of a revision do not count) and is not absolute.
bool IsRelativePath(std::string_view model);

// A text made part of a file's name: every character outside [A-Za-z0-9._-], and a dot that would hide the
// file, becomes '_'.
std::string PlainFileName(std::string_view text);

// A model's name as it stands in file names, of a path its last part, as a PlainFileName:
// "EleutherAI/pythia-410m@step3000" -> "EleutherAI_pythia-410m_step3000", "../models/demo" -> "demo".
std::string ModelFileName(std::string_view model);

// Artifacts of a profile run. `model` is a ModelFileName, `kind` a score kind's word.
std::string ScoresFile(std::string_view model);                             // scores_<model>.npy
std::string KindScoresFile(std::string_view model, std::string_view kind);  // scores_<model>_<kind>.npy
std::string ProfileFile(std::string_view model);                            // profile_<model>.json
std::string PromptsFile(std::string_view model);                            // prompts_<model>.jsonl
std::string PromptScoresFile(std::string_view model);                       // prompt_scores_<model>.npy
std::string PromptCountsFile(std::string_view model);                       // prompt_counts_<model>.npy
inline constexpr char kPromptTextsFile[] = "prompts.txt";

// Artifacts of the other analyses, beside those of their profile.
std::string NullsFile(std::string_view model);           // nulls_<model>.json
std::string CausalFile(std::string_view model);          // causal_<model>.json
std::string ControlPromptsFile(std::string_view model);  // control_prompts_<model>.jsonl
std::string LagBucketsFile(std::string_view model);      // lag_buckets_<model>.json
std::string PatternFile(std::string_view model);         // pattern_<model>.json
std::string PatternArrayFile(std::string_view model);    // pattern_<model>.npy
inline constexpr char kCrossSizeFile[] = "cross_size.json";

// What the client adds to a run directory.
inline constexpr char kMetadataFile[] = "metadata.json";
inline constexpr char kConfigFile[] = "config.yaml";

// Whether an artifact's name may become a file in a run directory: [A-Za-z0-9._-]+, not starting with a dot,
// at most 200 characters. The client refuses every other name a server sends.
bool IsSafeFileName(std::string_view name);

}  // namespace induct
