#include "server/models/model_name.h"

#include <fnmatch.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/quoted.h"
#include "common/status.h"

namespace induct::models {
namespace {

// Longer than any real name or path; the search for the nearest name costs time with its length.
constexpr size_t kMaxNameBytes = 512;

constexpr char kPythiaOrg[] = "EleutherAI/";
constexpr char kGpt2Org[] = "openai-community/";

constexpr const char* kPythiaSizes[] = {"14m", "31m",  "70m",  "160m", "410m",
                                        "1b",  "1.4b", "2.8b", "6.9b", "12b"};
constexpr size_t kFirstDedupedSize = 2;  // there is no pythia-14m-deduped and no pythia-31m-deduped
constexpr const char* kGpt2Names[] = {"gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"};

std::vector<std::string> MakeShortNames() {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::size(kPythiaSizes); ++i) {
    names.push_back(absl::StrCat("pythia-", kPythiaSizes[i]));
    if (i >= kFirstDedupedSize) names.push_back(absl::StrCat("pythia-", kPythiaSizes[i], "-deduped"));
  }
  names.insert(names.end(), std::begin(kGpt2Names), std::end(kGpt2Names));
  return names;
}

absl::Status NoName(const std::string& what) {
  return WithReason(absl::NotFoundError(absl::StrCat("a model's name ", what)), reason::kModelNotFound,
                    "model");
}

bool IsSafePart(std::string_view part) { return !part.empty() && part != "." && part != ".."; }

bool HasSafeParts(std::string_view path) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(path.data(), path.size()), '/');
  return std::ranges::all_of(parts, IsSafePart);
}

}  // namespace

absl::StatusOr<ModelName> ParseModelName(std::string_view text) {
  if (text.empty()) return NoName("is missing");
  if (text.size() > kMaxNameBytes)
    return NoName(absl::StrCat("has at most ", kMaxNameBytes, " bytes, this one has ", text.size()));
  if (std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return NoName("holds no control characters");
  const size_t at = text.rfind('@');
  ModelName name{.model = std::string(text.substr(0, at))};
  if (at != std::string_view::npos) {
    name.revision = std::string(text.substr(at + 1));
    if (!HasSafeParts(name.revision))
      return NoName(absl::StrCat("ends with the revision after '@', a branch, tag or commit: ", Quoted(text),
                                 " does not"));
  }
  if (!name.model.starts_with('/') && !IsPlainName(name.model))
    return NoName(absl::StrCat(
        "is [org/]name[@revision], or the path of a folder in one of the server's model_dirs, and not ",
        Quoted(text)));
  return name;
}

bool IsPlainName(std::string_view name) {
  return HasSafeParts(name) && std::ranges::count(name, '/') <= 1 && name.size() <= kMaxNameBytes;
}

std::span<const std::string> ShortNames() {
  static const auto* const names = new std::vector<std::string>(MakeShortNames());
  return *names;
}

std::string FullName(std::string_view name) {
  if (std::ranges::find(ShortNames(), name) == ShortNames().end()) return std::string(name);
  return absl::StrCat(name.starts_with("pythia") ? kPythiaOrg : kGpt2Org, std::string(name));
}

std::string ShortName(std::string_view full_name) {
  const std::string_view short_name = full_name.substr(full_name.rfind('/') + 1);
  return short_name != full_name && FullName(short_name) == full_name ? std::string(short_name) : "";
}

bool IsAllowed(std::span<const std::string> patterns, std::string_view asked, const ModelName& full) {
  std::vector<std::string> names = {std::string(asked)};
  for (const std::string& name : {full.model, ShortName(full.model)}) {
    if (name.empty()) continue;
    names.push_back(name);
    names.push_back(absl::StrCat(name, "@", full.revision.empty() ? "main" : full.revision));
  }
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return std::ranges::any_of(
        names, [&](const std::string& name) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
  });
}

std::string WithoutRevision(std::string_view name) { return std::string(name.substr(0, name.rfind('@'))); }

std::string NameWithRevision(const ModelName& name) {
  return name.revision.empty() ? name.model : absl::StrCat(name.model, "@", name.revision);
}

}  // namespace induct::models
