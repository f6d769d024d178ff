#include "server/service/spec_settings.h"

#include <string>
#include <vector>

#include "common/status.h"
#include "proto/setting_fields.h"

namespace induct::service {

absl::Status ResolveSettings(const Settings& server, v1::JobSpec* spec) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    std::vector<std::string> values = ReadSettingField(key, *spec);
    if (values.empty()) {
      values = server.Values(key);
    } else {
      INDUCT_ASSIGN_OR_RETURN(values, CheckSetting(key, values));
    }
    WriteSettingField(key, values, spec);
  }
  return absl::OkStatus();
}

v1::SpecDefaults DefaultsOf(const Settings& server) {
  v1::JobSpec spec;
  v1::ProfileSpec& profile = *spec.mutable_profile();
  ResolveSettings(server, &spec).IgnoreError();  // an empty spec has nothing that could be wrong
  v1::SpecDefaults defaults;
  *defaults.mutable_run() = profile.run();
  *defaults.mutable_prompts() = profile.prompts();
  *defaults.mutable_evaluation() = profile.evaluation();
  *defaults.mutable_job() = spec.options();
  return defaults;
}

}  // namespace induct::service
