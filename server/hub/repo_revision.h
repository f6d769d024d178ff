// The names of a hub, and what they become in URLs and folders. They come from requests and from another
// server, so none becomes part of a path before it has passed here.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace induct::hub {

// A repository, "EleutherAI/pythia-70m" or "gpt2", and what of it: a branch, a tag or a commit ("main",
// "step3000", "refs/pr/1", 40 hexadecimal digits).
struct RepoRevision {
  std::string repo;
  std::string revision = "main";
};

// NOT_FOUND (MODEL_NOT_FOUND) where no hub can have such a repository or revision: [org/]name of
// [A-Za-z0-9._-], each at most 96 characters, no "..", no "--"; revisions may have slashes as well.
absl::Status CheckNames(const RepoRevision& wanted);

// 40 lower-case hexadecimal digits.
bool IsCommit(std::string_view revision);

// Whether the name can be a file of one folder: [A-Za-z0-9._-]+, not starting with a dot.
bool IsPlainFileName(std::string_view name);

// "EleutherAI/pythia-70m@step3000", quoted, for errors.
std::string Describe(const RepoRevision& wanted);

// "EleutherAI/pythia-70m" -> "models--EleutherAI--pythia-70m", and back; empty for other folders.
std::string FolderOfRepo(std::string_view repo);
std::string RepoOfFolder(std::string_view folder);

// Percent-encoded, slashes too: "refs/pr/1" -> "refs%2Fpr%2F1".
std::string UrlEncoded(std::string_view text);

}  // namespace induct::hub
