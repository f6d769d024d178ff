#include "client/client_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "common/status.h"

namespace induct::client {
namespace {

// Empty where there is none.
std::string UserSettingsFile() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  std::string folder;
  if (config != nullptr && *config == '/') {
    folder = config;
  } else if (home != nullptr && *home != '\0') {
    folder = absl::StrCat(home, "/.config");
  } else {
    return "";
  }
  const std::string file = absl::StrCat(folder, "/induct/client.yaml");
  return access(file.c_str(), F_OK) == 0 ? file : "";
}

}  // namespace

absl::StatusOr<ClientSettings> GatherSettings(const Settings& flags, const std::string& settings_file) {
  ClientSettings result;
  result.file = settings_file.empty() ? UserSettingsFile() : settings_file;
  if (!result.file.empty()) {
    auto values = LoadSettings(result.file);
    if (!values.ok()) return WithExitCode(values.status(), ExitCode::kUsage);
    result.values = *std::move(values);
  }
  INDUCT_ASSIGN_OR_RETURN(const Settings environment, SettingsFromEnvironment());
  result.values.Override(environment);
  result.values.Override(flags);
  return result;
}

std::vector<std::string> MisspeltVariables() {
  constexpr size_t kMaxEdits = 2;
  std::vector<std::string> known;
  for (const SettingKey& key : SettingKeys()) known.push_back(SettingEnvironment(key));
  std::vector<std::string> sentences;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::string name(text.substr(0, text.find('=')));
    if (!name.starts_with("INDUCT_") || std::find(known.begin(), known.end(), name) != known.end()) continue;
    const std::string nearest = NearestWord(name, known, kMaxEdits);
    if (nearest.empty()) continue;
    sentences.push_back(
        absl::StrCat("environment variable ", name, " sets nothing; did you mean ", nearest, "?"));
  }
  return sentences;
}

}  // namespace induct::client
