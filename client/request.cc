#include "client/request.h"

#include <cstdint>
#include <random>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/status.h"
#include "proto/setting_fields.h"

namespace induct::client {

void FillSpec(const Settings& settings, v1::JobSpec* spec) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner == SettingOwner::kRequest && settings.IsSet(key.path))
      WriteSettingField(key, settings.Values(key), spec);
  }
}

absl::StatusOr<Settings> SettingsOfSpec(const v1::JobSpec& spec) {
  Settings settings;
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    const std::vector<std::string> values = ReadSettingField(key, spec);
    if (!values.empty()) INDUCT_RETURN_IF_ERROR(settings.Set(key, values));
  }
  return settings;
}

std::string NewRequestId() {
  std::random_device device;
  const auto random = [&] { return uint64_t{device()} << 32 | device(); };
  const uint64_t high = (random() & ~uint64_t{0xf000}) | 0x4000;                 // version 4
  const uint64_t low = (random() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // variant 1
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, high >> 16 & 0xffff, high & 0xffff,
                         low >> 48, low & 0xffffffffffff);
}

}  // namespace induct::client
