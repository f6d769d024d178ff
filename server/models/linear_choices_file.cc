#include "server/models/linear_choices_file.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/atomic_file.h"
#include "common/logging.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{1} << 20;
// Beyond it what was kept is forgotten: settings of threads that were tried once, LibTorch's old versions.
constexpr size_t kMaxChoices = 2000;

std::optional<engine::LinearChoice> ParseChoice(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const json product = value.value("product", json()), fuses = value.value("fuses_activation", json()),
             gflops = value.value("gflops", json());
  if (!product.is_string() || !fuses.is_boolean() || !gflops.is_number()) return std::nullopt;
  const auto parsed = engine::ParseLinearProduct(product.get<std::string>());
  if (!parsed) return std::nullopt;
  return engine::LinearChoice{.method = {.product = *parsed, .fuses_activation = fuses.get<bool>()},
                              .gflops = gflops.get<double>()};
}

}  // namespace

LinearChoicesFile::LinearChoicesFile(std::string path) : path_(std::move(path)) {
  const absl::StatusOr<std::string> text = ReadFile(path_, kMaxFileBytes);
  if (absl::IsNotFound(text.status())) return;
  const json file = text.ok() ? json::parse(*text, nullptr, /*allow_exceptions=*/false) : json();
  if (!file.is_object()) {
    Log(LogLevel::kWarning, "server",
        absl::StrCat(path_, " is not used: ",
                     text.ok() ? "it is no JSON object" : std::string(text.status().message())));
    return;
  }
  const absl::MutexLock lock(&mutex_);
  for (const auto& [key, value] : file.items()) {
    if (const auto choice = ParseChoice(value)) choices_.emplace(key, *choice);
  }
}

std::optional<engine::LinearChoice> LinearChoicesFile::Find(const std::string& key) {
  const absl::MutexLock lock(&mutex_);
  const auto found = choices_.find(key);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void LinearChoicesFile::Keep(const std::string& key, const engine::LinearChoice& choice) {
  Log(LogLevel::kDebug, "server",
      absl::StrCat(key, ": ", std::string(engine::LinearProductName(choice.method.product)),
                   choice.method.fuses_activation ? " with activation, " : ", ", std::round(choice.gflops),
                   " GFLOP/s"));
  const absl::MutexLock lock(&mutex_);
  if (choices_.size() >= kMaxChoices) choices_.clear();
  choices_.insert_or_assign(key, choice);
  Save();
}

void LinearChoicesFile::Save() {
  json file = json::object();
  for (const auto& [key, choice] : choices_) {
    file[key] = {{"product", engine::LinearProductName(choice.method.product)},
                 {"fuses_activation", choice.method.fuses_activation},
                 {"gflops", choice.gflops}};
  }
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  const absl::Status status = WriteFileAtomically(path_, file.dump(1) + "\n");
  if (!status.ok()) Log(LogLevel::kWarning, "server", std::string(status.message()));
}

std::string LinearChoicesPath() {
  const char* const cache = std::getenv("XDG_CACHE_HOME");
  const char* const home = std::getenv("HOME");
  const std::string name = "induct/linear_choices.json";
  if (cache != nullptr && *cache != '\0') return absl::StrCat(cache, "/", name);
  if (home != nullptr && *home != '\0') return absl::StrCat(home, "/.cache/", name);
  return "";
}

}  // namespace induct::models
