#include "server/hub/hub_options.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/atomic_file.h"
#include "common/quoted.h"

namespace induct::hub {
namespace {

using Environment = HubOptions::Environment;

constexpr size_t kMaxTokenBytes = 64 << 10;

// The first of the variables that is set and not empty.
std::string FirstOf(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto value = environment(name); value && !value->empty()) return *value;
  }
  return "";
}

bool IsTrue(const Environment& environment, std::initializer_list<const char*> names) {
  const std::string value = absl::AsciiStrToUpper(FirstOf(environment, names));
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string Join(const std::string& folder, const char* name) {
  return (std::filesystem::path(folder) / name).string();
}

std::string UserHome(const Environment& environment) {
  const std::string home = FirstOf(environment, {"HOME"});
  return home.empty() ? "/" : home;
}

// "~/x" and "$NAME/x", "${NAME}/x" at any place; variables that are not set stay as they are.
std::string Expanded(const Environment& environment, std::string path) {
  if (path == "~" || absl::StartsWith(path, "~/")) path = UserHome(environment) + path.substr(1);
  for (size_t at = path.find('$'); at != std::string::npos; at = path.find('$', at + 1)) {
    const bool braced = at + 1 < path.size() && path[at + 1] == '{';
    const size_t begin = at + (braced ? 2 : 1);
    size_t end = begin;
    while (end < path.size() && (absl::ascii_isalnum(path[end]) || path[end] == '_')) ++end;
    if (end == begin || (braced && (end == path.size() || path[end] != '}'))) continue;
    const auto value = environment(path.substr(begin, end - begin).c_str());
    if (value) path.replace(at, end - at + (braced ? 1 : 0), *value);
  }
  return path;
}

std::string HubHome(const Environment& environment) {
  if (const std::string home = FirstOf(environment, {"HF_HOME"}); !home.empty()) {
    return Expanded(environment, home);
  }
  const std::string xdg = FirstOf(environment, {"XDG_CACHE_HOME"});
  const std::string cache = xdg.empty() ? Join(UserHome(environment), ".cache") : xdg;
  return Expanded(environment, Join(cache, "huggingface"));
}

std::string CleanToken(const std::string& token) {
  return std::string(absl::StripAsciiWhitespace(absl::StrReplaceAll(token, {{"\r", ""}, {"\n", ""}})));
}

std::string Token(const Environment& environment) {
  if (IsTrue(environment, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"})) return "";
  const std::string given = CleanToken(FirstOf(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}));
  if (!given.empty()) return given;
  const std::string path = FirstOf(environment, {"HF_TOKEN_PATH"});
  const std::string file = path.empty() ? Join(HubHome(environment), "token") : Expanded(environment, path);
  const absl::StatusOr<std::string> text = ReadFile(file, kMaxTokenBytes);
  return text.ok() ? CleanToken(*text) : "";
}

absl::Duration Seconds(const Environment& environment, const char* name, absl::Duration fallback) {
  int64_t seconds = 0;
  const bool given = absl::SimpleAtoi(FirstOf(environment, {name}), &seconds) && seconds > 0;
  return given ? absl::Seconds(std::min<int64_t>(seconds, 3600)) : fallback;
}

}  // namespace

HubOptions HubOptions::FromEnvironment() {
  return From([](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr) return std::nullopt;
    return value;
  });
}

HubOptions HubOptions::From(const Environment& environment) {
  HubOptions options;
  if (const std::string endpoint = FirstOf(environment, {"HF_ENDPOINT"}); !endpoint.empty()) {
    options.endpoint = endpoint;
  }
  while (absl::EndsWith(options.endpoint, "/")) options.endpoint.pop_back();
  const std::string cache = FirstOf(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  options.cache_dir = cache.empty() ? Join(HubHome(environment), "hub") : Expanded(environment, cache);
  options.token = Token(environment);
  options.offline = IsTrue(environment, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"});
  options.use_symlinks = !IsTrue(environment, {"HF_HUB_DISABLE_SYMLINKS"});
  options.metadata_timeout = Seconds(environment, "HF_HUB_ETAG_TIMEOUT", options.metadata_timeout);
  options.stall_timeout = Seconds(environment, "HF_HUB_DOWNLOAD_TIMEOUT", options.stall_timeout);
  return options;
}

absl::Status CheckOptions(const HubOptions& options) {
  const auto is_printable = [](char c) { return absl::ascii_isgraph(c); };
  const bool is_http =
      absl::StartsWith(options.endpoint, "http://") || absl::StartsWith(options.endpoint, "https://");
  if (!is_http || !std::ranges::all_of(options.endpoint, is_printable)) {
    return absl::InvalidArgumentError(
        absl::StrCat("HF_ENDPOINT: ", Quoted(options.endpoint), " is no http:// or https:// address"));
  }
  if (!std::ranges::all_of(options.token, is_printable)) {
    return absl::InvalidArgumentError("HF_TOKEN: the token holds characters that no token has");
  }
  if (options.cache_dir.empty()) return absl::InvalidArgumentError("HF_HUB_CACHE: no cache folder is given");
  return absl::OkStatus();
}

}  // namespace induct::hub
