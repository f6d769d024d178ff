#include "proto/setting_fields.h"

#include <charconv>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace induct {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Where a setting stands: a field of one of the request's parts.
struct Place {
  const FieldDescriptor* part = nullptr;   // of RunProfileRequest
  const FieldDescriptor* field = nullptr;  // of that part
};

Place FindPlace(const SettingKey& key) {
  const size_t dot = key.path.find('.');
  const std::string group = dot == std::string_view::npos ? "run" : std::string(key.path.substr(0, dot));
  const FieldDescriptor* part = v1::RunProfileRequest::descriptor()->FindFieldByName(group);
  return {part, part->message_type()->FindFieldByName(SettingFlag(key))};
}

template <typename T>
T Number(const std::string& text) {
  T number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

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

std::vector<std::string> ReadSettingField(const SettingKey& key, const v1::RunProfileRequest& request) {
  const Place place = FindPlace(key);
  const Message& part = request.GetReflection()->GetMessage(request, place.part);
  if (place.field->is_repeated()) return GetAll(part, place.field);
  if (!part.GetReflection()->HasField(part, place.field)) return {};
  return {GetOne(part, place.field)};
}

void WriteSettingField(const SettingKey& key, const std::vector<std::string>& values,
                       v1::RunProfileRequest* request) {
  const Place place = FindPlace(key);
  Message* part = request->GetReflection()->MutableMessage(request, place.part);
  part->GetReflection()->ClearField(part, place.field);
  for (const std::string& value : values) {
    place.field->is_repeated() ? AddOne(value, place.field, part) : SetOne(value, place.field, part);
  }
}

}  // namespace induct
