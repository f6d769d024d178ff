// The files that runs share: prompts, texts, a profile's arrays. What they hold and why: docs/guide.md.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "server/analysis/profile.h"

namespace induct::runs {

// Where finished files go: name, media type, bytes.
using FileSink = std::function<absl::Status(const std::string&, const std::string&, std::string)>;

// A file of prompts, one JSON object a line; `name` as PromptsFile or ControlPromptsFile give it.
absl::Status WritePromptFile(const std::string& name, std::span<const analysis::Prompt> prompts,
                             const FileSink& sink);

// prompts.txt where any prompt has a text, else nothing.
absl::Status WritePromptTexts(std::span<const analysis::Prompt> prompts, const FileSink& sink);

// The .npy files of a result: scores of the chosen kind, of each kind, of each prompt, and the operations of
// each prompt.
absl::Status WriteScoreFiles(const std::string& model, const analysis::ProfileResult& result,
                             const FileSink& sink);

}  // namespace induct::runs
