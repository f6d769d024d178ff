#include "client/request.h"

#include <charconv>
#include <cstdint>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace induct::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Where a setting stands: a field of one of the request's parts.
struct Place {
  const FieldDescriptor* part = nullptr;   // of RunProfileRequest
  const FieldDescriptor* field = nullptr;  // of that part; null where the contract has no such field
};

Place FindPlace(const SettingKey& key) {
  const std::string path(key.path);
  const size_t dot = path.find('.');
  const auto* request = v1::RunProfileRequest::descriptor();
  Place place{.part = request->FindFieldByName(dot == std::string::npos ? "run" : path.substr(0, dot))};
  if (place.part != nullptr && place.part->message_type() != nullptr) {
    place.field = place.part->message_type()->FindFieldByName(SettingFlag(key));
  }
  return place;
}

template <typename T>
T Number(const std::string& text) {
  T number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// `value` has passed CheckSetting, so it is of the field's type and in its range.
void SetOne(const std::string& value, const FieldDescriptor* field, Message* message) {
  const auto* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, value == "true");
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, Number<int32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection->SetUInt32(message, field, Number<uint32_t>(value));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, Number<uint64_t>(value));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, Number<double>(value));
    default:
      return reflection->SetString(message, field, value);
  }
}

void AddOne(const std::string& value, const FieldDescriptor* field, Message* message) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
    message->GetReflection()->AddUInt32(message, field, Number<uint32_t>(value));
  } else {
    message->GetReflection()->AddString(message, field, value);
  }
}

std::string GetOne(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection->GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrFormat("%.17g", reflection->GetDouble(message, field));
    default:
      return reflection->GetString(message, field);
  }
}

std::vector<std::string> GetAll(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  std::vector<std::string> values;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    values.push_back(field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32
                         ? absl::StrCat(reflection->GetRepeatedUInt32(message, field, i))
                         : reflection->GetRepeatedString(message, field, i));
  }
  return values;
}

}  // namespace

void FillRequest(const Settings& settings, v1::RunProfileRequest* request) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest || !settings.IsSet(key.path)) continue;
    const Place place = FindPlace(key);
    Message* part = request->GetReflection()->MutableMessage(request, place.part);
    for (const std::string& value : settings.Values(key)) {
      place.field->is_repeated() ? AddOne(value, place.field, part) : SetOne(value, place.field, part);
    }
  }
}

absl::StatusOr<Settings> SettingsOfRequest(const v1::RunProfileRequest& request) {
  Settings settings;
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    const Place place = FindPlace(key);
    const Message& part = request.GetReflection()->GetMessage(request, place.part);
    std::vector<std::string> values;
    if (place.field->is_repeated()) {
      values = GetAll(part, place.field);
      if (values.empty()) continue;
    } else {
      if (!part.GetReflection()->HasField(part, place.field)) continue;
      values.push_back(GetOne(part, place.field));
    }
    INDUCT_RETURN_IF_ERROR(settings.Set(key, values));
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
