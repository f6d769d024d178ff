#include "client/annotations.h"

#include "client/kinds.h"
#include "common/version.h"
#include "nlohmann/json.hpp"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

constexpr char kCommand[] = "command";
constexpr char kClientVersion[] = "client_version";
constexpr char kLabels[] = "labels";  // a JSON array

std::string AnnotationOf(const v1::JobSpec& spec, const char* name) {
  const auto& annotations = spec.options().annotations();
  const auto it = annotations.find(name);
  return it == annotations.end() ? "" : it->second;
}

}  // namespace

void SetAnnotations(const std::string& command, const std::vector<std::string>& labels, v1::JobSpec* spec) {
  auto& annotations = *spec->mutable_options()->mutable_annotations();
  annotations[kCommand] = command;
  annotations[kClientVersion] = kVersion;
  if (!labels.empty()) annotations[kLabels] = nlohmann::json(labels).dump();
}

std::string CommandOf(const v1::JobSpec& spec) {
  const std::string command = AnnotationOf(spec, kCommand);
  const AnalysisKind* kind = KindOfCommand(command);
  return kind != nullptr && kind == KindOfSpec(spec) ? command : KindOf(spec);
}

std::vector<std::string> LabelsOf(const v1::JobSpec& spec, const std::vector<std::string>& models) {
  const nlohmann::json array =
      nlohmann::json::parse(AnnotationOf(spec, kLabels), nullptr, /*allow_exceptions=*/false);
  if (!array.is_array() || array.size() != models.size()) return models;
  std::vector<std::string> labels;
  for (const nlohmann::json& label : array) {
    if (!label.is_string()) return models;
    labels.push_back(label.get<std::string>());
  }
  return labels;
}

}  // namespace induct::client
