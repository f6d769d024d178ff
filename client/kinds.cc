#include "client/kinds.h"

#include <algorithm>

#include "client/kinds/causal.h"
#include "client/kinds/cross_size.h"
#include "client/kinds/lag_buckets.h"
#include "client/kinds/nulls.h"
#include "client/kinds/pattern.h"
#include "client/kinds/profile.h"
#include "client/kinds/targets.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const AnalysisKind* FindKind(const auto& is_it) {
  const auto it = std::find_if(AnalysisKinds().begin(), AnalysisKinds().end(), is_it);
  return it == AnalysisKinds().end() ? nullptr : &*it;
}

}  // namespace

const std::vector<AnalysisKind>& AnalysisKinds() {
  static const auto* const kKinds =
      new std::vector<AnalysisKind>{ProfileKind(),    CrossSizeKind(), NullsKind(),  CausalKind(),
                                    LagBucketsKind(), PatternKind(),   TargetsKind()};
  return *kKinds;
}

const AnalysisKind* KindOfSpec(const v1::JobSpec& spec) {
  const int field = spec.analysis_case();
  return FindKind([&](const AnalysisKind& kind) { return kind.field == field; });
}

const AnalysisKind* KindOfCommand(std::string_view command) {
  return FindKind([&](const AnalysisKind& kind) {
    return std::any_of(kind.commands.begin(), kind.commands.end(),
                       [&](const KindCommand& each) { return each.name == command; });
  });
}

bool HasEffectOn(const SettingKey& key, std::string_view command) {
  if (key.topic.empty()) return true;
  const auto has_topic = [&](const AnalysisKind& kind) {
    return std::find(kind.topics.begin(), kind.topics.end(), key.topic) != kind.topics.end();
  };
  if (const AnalysisKind* own = KindOfCommand(command)) return has_topic(*own);
  return FindKind([&](const AnalysisKind& kind) { return kind.in_plan && has_topic(kind); }) != nullptr;
}

bool Leaves(const AnalysisKind& run_kind, const AnalysisKind& kind) {
  return &run_kind == &kind || (run_kind.has_profiles && kind.field == v1::JobSpec::kProfileFieldNumber);
}

v1::JobSpec NewSpec(const AnalysisKind& kind, const std::vector<std::string>& models) {
  v1::JobSpec spec;
  Message* analysis =
      spec.GetReflection()->MutableMessage(&spec, v1::JobSpec::descriptor()->FindFieldByNumber(kind.field));
  if (!kind.compares_models) {
    MutableProfileOf(&spec)->set_model(models.front());
    return spec;
  }
  const FieldDescriptor* field = analysis->GetDescriptor()->FindFieldByName("models");
  for (const std::string& model : models) analysis->GetReflection()->AddString(analysis, field, model);
  return spec;
}

const Message& AnalysisOf(const v1::JobSpec& spec) {
  return spec.GetReflection()->GetMessage(
      spec, v1::JobSpec::descriptor()->FindFieldByNumber(static_cast<int>(spec.analysis_case())));
}

const Message* ResultOf(const AnalysisKind& kind, const ShownResult& of) {
  const SavedResults& results = kind.compares_models ? of.run.results : of.model->results;
  return results.Find(*kind.result.prototype->GetDescriptor());
}

std::vector<ShownResult> ResultsOf(const AnalysisKind& kind, const SavedRun& run) {
  std::vector<ShownResult> all;
  const auto add = [&](const ShownResult& of) {
    if (ResultOf(kind, of) != nullptr) all.push_back(of);
  };
  if (kind.compares_models) {
    add({run});
  } else {
    for (const SavedModel& model : run.models) add({run, &model});
  }
  return all;
}

}  // namespace induct::client
