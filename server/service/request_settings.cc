#include "server/service/request_settings.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status.h"

namespace induct::service {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The part of the request that holds a setting ("prompts" for prompts.lag_values, "run" for seq_len) and the
// field in it.
struct SettingField {
  Message* part = nullptr;
  const FieldDescriptor* field = nullptr;
};

SettingField FindField(const SettingKey& key, Message* request) {
  const size_t dot = key.path.find('.');
  const std::string group = dot == std::string_view::npos ? "run" : std::string(key.path.substr(0, dot));
  const FieldDescriptor* part = request->GetDescriptor()->FindFieldByName(group);
  Message* message = request->GetReflection()->MutableMessage(request, part);
  return {message, message->GetDescriptor()->FindFieldByName(SettingFlag(key))};
}

// The field's value as the table of settings wants it; empty where the field is not set.
std::vector<std::string> ReadField(const SettingField& at) {
  const Reflection& reflection = *at.part->GetReflection();
  std::vector<std::string> values;
  if (at.field->is_repeated()) {
    for (int i = 0; i < reflection.FieldSize(*at.part, at.field); ++i) {
      values.push_back(at.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING
                           ? reflection.GetRepeatedString(*at.part, at.field, i)
                           : absl::StrCat(reflection.GetRepeatedUInt32(*at.part, at.field, i)));
    }
    return values;
  }
  if (!reflection.HasField(*at.part, at.field)) return values;
  switch (at.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return {reflection.GetString(*at.part, at.field)};
    case FieldDescriptor::CPPTYPE_BOOL:
      return {reflection.GetBool(*at.part, at.field) ? "true" : "false"};
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return {absl::StrFormat("%.17g", reflection.GetDouble(*at.part, at.field))};
    case FieldDescriptor::CPPTYPE_UINT64:
      return {absl::StrCat(reflection.GetUInt64(*at.part, at.field))};
    case FieldDescriptor::CPPTYPE_INT32:
      return {absl::StrCat(reflection.GetInt32(*at.part, at.field))};
    default:
      return {absl::StrCat(reflection.GetUInt32(*at.part, at.field))};
  }
}

// REQUIRES: the values passed CheckSetting.
void WriteField(const SettingField& at, const std::vector<std::string>& values) {
  const Reflection& reflection = *at.part->GetReflection();
  const auto whole = [](const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); };
  if (at.field->is_repeated()) {
    reflection.ClearField(at.part, at.field);
    for (const std::string& value : values) {
      if (at.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        reflection.AddString(at.part, at.field, value);
      } else {
        reflection.AddUInt32(at.part, at.field, static_cast<uint32_t>(whole(value)));
      }
    }
    return;
  }
  const std::string& value = values.at(0);
  switch (at.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(at.part, at.field, value);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(at.part, at.field, value == "true");
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(at.part, at.field, std::strtod(value.c_str(), nullptr));
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(at.part, at.field, whole(value));
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.SetInt32(at.part, at.field,
                                 static_cast<int32_t>(std::strtoll(value.c_str(), nullptr, 10)));
    default:
      return reflection.SetUInt32(at.part, at.field, static_cast<uint32_t>(whole(value)));
  }
}

}  // namespace

absl::Status ResolveSettings(const Settings& server, v1::RunProfileRequest* request) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != SettingOwner::kRequest) continue;
    const SettingField at = FindField(key, request);
    std::vector<std::string> values = ReadField(at);
    if (values.empty()) {
      values = server.Values(key);
    } else {
      INDUCT_ASSIGN_OR_RETURN(values, CheckSetting(key, values));
    }
    WriteField(at, values);
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
