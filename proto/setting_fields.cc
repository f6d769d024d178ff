#include "proto/setting_fields.h"

#include <charconv>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "proto/job_specs.h"

namespace induct {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The part of a spec that a setting stands in.
std::string PartName(const SettingKey& key) {
  const size_t dot = key.path.find('.');
  return dot == std::string_view::npos ? "run" : std::string(key.path.substr(0, dot));
}

const Message& PartOf(const SettingKey& key, const v1::JobSpec& spec) {
  const std::string name = PartName(key);
  if (name == "job") return spec.options();
  const v1::ProfileSpec& profile = ProfileOf(spec);
  return profile.GetReflection()->GetMessage(profile, profile.GetDescriptor()->FindFieldByName(name));
}

Message* MutablePartOf(const SettingKey& key, v1::JobSpec* spec) {
  const std::string name = PartName(key);
  if (name == "job") return spec->mutable_options();
  v1::ProfileSpec* profile = MutableProfileOf(spec);
  return profile->GetReflection()->MutableMessage(profile, profile->GetDescriptor()->FindFieldByName(name));
}

const FieldDescriptor* FieldIn(const Message& part, const SettingKey& key) {
  return part.GetDescriptor()->FindFieldByName(SettingFlag(key));
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

std::vector<std::string> ReadSettingField(const SettingKey& key, const v1::JobSpec& spec) {
  const Message& part = PartOf(key, spec);
  const FieldDescriptor* field = FieldIn(part, key);
  if (field->is_repeated()) return GetAll(part, field);
  if (!part.GetReflection()->HasField(part, field)) return {};
  return {GetOne(part, field)};
}

void WriteSettingField(const SettingKey& key, const std::vector<std::string>& values, v1::JobSpec* spec) {
  Message* part = MutablePartOf(key, spec);
  const FieldDescriptor* field = FieldIn(*part, key);
  part->GetReflection()->ClearField(part, field);
  for (const std::string& value : values) {
    field->is_repeated() ? AddOne(value, field, part) : SetOne(value, field, part);
  }
}

}  // namespace induct
