// What models are called: [org/]name[@revision], and who may ask for which.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::models {

// A name, taken apart. `revision` is what follows the last '@'; empty where there is none.
struct ModelName {
  std::string model;     // "name", "org/name" or an absolute path
  std::string revision;  // a branch, tag or commit of the hub
};

// NOT_FOUND (MODEL_NOT_FOUND) for what is no name: empty, too long, with control characters, or with parts
// ("..", a third one) that could walk out of a folder. Nothing else is accepted later on.
absl::StatusOr<ModelName> ParseModelName(std::string_view text);

// "name" or "org/name", none of them empty, "." or "..".
bool IsPlainName(std::string_view name);

// Short names: pythia-14m .. pythia-12b, most of them with -deduped, and gpt2, gpt2-medium, -large, -xl.
std::span<const std::string> ShortNames();
// "EleutherAI/pythia-14m" for "pythia-14m"; every other name as it is.
std::string FullName(std::string_view name);
// The reverse; empty where there is no short name.
std::string ShortName(std::string_view full_name);

// Whether a pattern (*, ?, [...] as in file names, where * also stands for '/') matches any of a model's
// names: as it was asked for, in full and short, with and without its revision, which is `main` where none
// was given. A pattern without revision speaks of all of them.
bool IsAllowed(std::span<const std::string> patterns, std::string_view asked, const ModelName& full);

// What stands before the last '@'; the whole of a name without revision.
std::string WithoutRevision(std::string_view name);

// "org/name" or "org/name@revision": what lists show and messages say.
std::string NameWithRevision(const ModelName& name);

}  // namespace induct::models
