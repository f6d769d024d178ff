#include "server/service/request_settings.h"

#include <string>
#include <vector>

#include "common/status.h"
#include "proto/setting_fields.h"

namespace induct::service {

absl::Status ResolveSettings(const Settings& server, v1::RunProfileRequest* request) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    std::vector<std::string> values = ReadSettingField(key, *request);
    if (values.empty()) {
      values = server.Values(key);
    } else {
      INDUCT_ASSIGN_OR_RETURN(values, CheckSetting(key, values));
    }
    WriteSettingField(key, values, request);
  }
  return absl::OkStatus();
}

v1::RequestDefaults DefaultsOf(const Settings& server) {
  v1::RunProfileRequest request;
  ResolveSettings(server, &request).IgnoreError();  // an empty request has nothing that could be wrong
  v1::RequestDefaults defaults;
  *defaults.mutable_run() = request.run();
  *defaults.mutable_prompts() = request.prompts();
  *defaults.mutable_evaluation() = request.evaluation();
  *defaults.mutable_job() = request.job();
  return defaults;
}

}  // namespace induct::service
