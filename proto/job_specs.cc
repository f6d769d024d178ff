#include "proto/job_specs.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/sha256.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/reflection.h"

namespace induct {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const google::protobuf::OneofDescriptor* Analyses() {
  return v1::JobSpec::descriptor()->FindOneofByName("analysis");
}

std::string KindName(const FieldDescriptor* analysis) {
  return absl::StrReplaceAll(std::string(analysis->name()), {{"_", ""}});
}

// The field of the analysis that is asked for; null where there is none.
const FieldDescriptor* AnalysisField(const v1::JobSpec& spec) {
  return spec.GetReflection()->GetOneofFieldDescriptor(spec, Analyses());
}

const Message& AnalysisOf(const v1::JobSpec& spec) {
  return spec.GetReflection()->GetMessage(spec, AnalysisField(spec));
}
Message* MutableAnalysisOf(v1::JobSpec* spec) {
  return spec->GetReflection()->MutableMessage(spec, AnalysisField(*spec));
}

const FieldDescriptor* FieldNamed(const Message& message, const std::string& name) {
  return message.GetDescriptor()->FindFieldByName(name);
}

}  // namespace

std::vector<std::string> JobKindNames() {
  std::vector<std::string> names;
  for (int i = 0; i < Analyses()->field_count(); ++i) names.push_back(KindName(Analyses()->field(i)));
  return names;
}

std::string KindOf(const v1::JobSpec& spec) {
  const FieldDescriptor* field = AnalysisField(spec);
  return field == nullptr ? "" : KindName(field);
}

const v1::ProfileSpec& ProfileOf(const v1::JobSpec& spec) {
  if (spec.has_profile()) return spec.profile();
  const Message& analysis = AnalysisOf(spec);
  return dynamic_cast<const v1::ProfileSpec&>(
      analysis.GetReflection()->GetMessage(analysis, FieldNamed(analysis, "profile")));
}

v1::ProfileSpec* MutableProfileOf(v1::JobSpec* spec) {
  if (spec->has_profile()) return spec->mutable_profile();
  Message* analysis = MutableAnalysisOf(spec);
  return dynamic_cast<v1::ProfileSpec*>(
      analysis->GetReflection()->MutableMessage(analysis, FieldNamed(*analysis, "profile")));
}

std::vector<std::string> ModelsOf(const v1::JobSpec& spec) {
  const Message& analysis = AnalysisOf(spec);
  const FieldDescriptor* several = FieldNamed(analysis, "models");
  if (several == nullptr) return {ProfileOf(spec).model()};
  const auto models = analysis.GetReflection()->GetRepeatedFieldRef<std::string>(analysis, several);
  return {models.begin(), models.end()};
}

void SetModelsOf(const std::vector<std::string>& models, v1::JobSpec* spec) {
  Message* analysis = MutableAnalysisOf(spec);
  const FieldDescriptor* several = FieldNamed(*analysis, "models");
  if (several == nullptr) return MutableProfileOf(spec)->set_model(models.front());
  const auto field = analysis->GetReflection()->GetMutableRepeatedFieldRef<std::string>(analysis, several);
  field.Clear();
  for (const std::string& model : models) field.Add(model);
}

void CountGivenPrompts(v1::JobSpec* spec) {
  const auto count = [](Message* message) {
    for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* prompts = message->GetDescriptor()->field(i);
      const FieldDescriptor* number = FieldNamed(*message, absl::StrCat("n_", prompts->name()));
      if (!prompts->is_repeated() || number == nullptr) continue;
      message->GetReflection()->SetUInt32(
          message, number, static_cast<uint32_t>(message->GetReflection()->FieldSize(*message, prompts)));
      message->GetReflection()->ClearField(message, prompts);
    }
  };
  count(MutableAnalysisOf(spec));
  if (!spec->has_profile()) count(MutableProfileOf(spec));
}

std::string SpecSha256(v1::JobSpec spec) {
  if (spec.has_options()) {
    spec.mutable_options()->clear_request_id();
    spec.mutable_options()->clear_annotations();
  }
  return Sha256Hex(spec.SerializeAsString());
}

}  // namespace induct
