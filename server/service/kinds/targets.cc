// The user's own readout.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/runs/targets_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

constexpr int kMaxTargets = 1'000'000;
constexpr size_t kMaxGroups = 64;
constexpr int kMaxContrasts = 64;
constexpr size_t kMaxGroupName = 200;
// Weights whose sums stay numbers, and which float32 holds.
constexpr double kSmallestWeight = 1e-30, kLargestWeight = 1e30;

absl::StatusOr<runs::AskedDetector> ParseDetector(const std::string& text) {
  using Kind = analysis::Detector::Kind;
  absl::string_view rest = text;
  if (text == "sink") return runs::AskedDetector{{.kind = Kind::kSink}, ""};
  if (text == "self") return runs::AskedDetector{{.kind = Kind::kSelf}, ""};
  if (text == "same_token") return runs::AskedDetector{{.kind = Kind::kSameToken}, ""};
  uint32_t offset = 0;
  if (absl::ConsumePrefix(&rest, "offset:") && absl::SimpleAtoi(rest, &offset) && offset >= 1)
    return runs::AskedDetector{{.kind = Kind::kOffset, .offset = offset}, ""};
  rest = text;
  if (absl::ConsumePrefix(&rest, "token:") && !rest.empty())
    return runs::AskedDetector{{.kind = Kind::kToken}, std::string(rest)};
  return InvalidField("detectors", absl::StrCat("\"", text,
                                                "\" is none: sink, self, offset:K with K of 1 or more, "
                                                "same_token, token:TEXT"));
}

absl::Status CheckTarget(const v1::Target& target, const std::string& field) {
  if (target.group().empty() || target.group().size() > kMaxGroupName)
    return InvalidField(field, absl::StrCat("a group's name has 1 to ", kMaxGroupName, " bytes"));
  if (target.last_query() < target.first_query() || target.last_key() < target.first_key())
    return InvalidField(field, "a range's last position is before its first");
  if (target.last_key() > target.first_query()) {
    return InvalidField(field, absl::StrCat("key ", target.last_key(), " is behind query ",
                                            target.first_query(), ", which cannot attend to it"));
  }
  const double weight = target.weight();
  const bool usable = weight == 0 || (weight >= kSmallestWeight && weight <= kLargestWeight);
  if (usable) return absl::OkStatus();
  return InvalidField(
      field, absl::StrCat("weight ", weight, " is not within ", kSmallestWeight, " .. ", kLargestWeight));
}

// Names of groups as targets, then detectors, mention them, and their numbers.
class Groups {
 public:
  uint32_t Number(const std::string& name) {
    const auto [it, is_new] = numbers_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return it->second;
  }
  std::optional<uint32_t> Find(const std::string& name) const {
    const auto it = numbers_.find(name);
    return it == numbers_.end() ? std::nullopt : std::optional(it->second);
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;
};

Groups GroupsOf(const v1::TargetsSpec& spec) {
  Groups groups;
  for (const v1::Target& target : spec.targets()) groups.Number(target.group());
  for (const std::string& detector : spec.detectors()) groups.Number(detector);
  return groups;
}

absl::Status CheckDetectors(const v1::TargetsSpec& spec) {
  std::set<std::string> names;
  for (const v1::Target& target : spec.targets()) names.insert(target.group());
  for (const std::string& detector : spec.detectors()) {
    INDUCT_RETURN_IF_ERROR(ParseDetector(detector).status());
    if (detector.size() > kMaxGroupName)
      return InvalidField("detectors", absl::StrCat("more than ", kMaxGroupName, " bytes: ", detector));
    if (!names.insert(detector).second)
      return InvalidField("detectors", absl::StrCat(detector, " is given twice, or is a target's group"));
  }
  if (names.size() <= kMaxGroups) return absl::OkStatus();
  return InvalidField("targets", absl::StrCat(names.size(), " groups, ", kMaxGroups, " are allowed"));
}

absl::Status CheckContrasts(const v1::TargetsSpec& spec) {
  if (spec.contrasts_size() > kMaxContrasts) {
    return InvalidField("contrasts",
                        absl::StrCat(spec.contrasts_size(), " given, ", kMaxContrasts, " are allowed"));
  }
  const Groups groups = GroupsOf(spec);
  std::set<std::pair<std::string, std::string>> seen;
  for (const v1::Contrast& contrast : spec.contrasts()) {
    for (const std::string& name : {contrast.group_a(), contrast.group_b()}) {
      if (groups.Find(name)) continue;
      return InvalidField("contrasts", absl::StrCat("there is no group \"", name, "\"; there are ",
                                                    absl::StrJoin(groups.names(), ", ")));
    }
    if (contrast.group_a() == contrast.group_b())
      return InvalidField("contrasts", absl::StrCat(contrast.group_a(), " is compared with itself"));
    if (!seen.emplace(contrast.group_a(), contrast.group_b()).second) {
      return InvalidField(
          "contrasts", absl::StrCat(contrast.group_a(), " and ", contrast.group_b(), " are compared twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTargetsSpec(const v1::JobSpec& spec, const SpecLimits&) {
  const v1::TargetsSpec& targets = spec.targets();
  if (targets.targets().empty() && targets.detectors().empty())
    return InvalidField("targets", "there is nothing to read: give targets, detectors or both");
  if (targets.targets_size() > kMaxTargets) {
    return InvalidField("targets",
                        absl::StrCat(targets.targets_size(), " given, ", kMaxTargets, " are allowed"));
  }
  for (int i = 0; i < targets.targets_size(); ++i)
    INDUCT_RETURN_IF_ERROR(CheckTarget(targets.targets(i), absl::StrCat("targets[", i, "]")));
  INDUCT_RETURN_IF_ERROR(CheckDetectors(targets));
  return CheckContrasts(targets);
}

void SetHeadBand(const std::vector<analysis::Interval>& intervals, uint32_t n_layers, uint32_t n_heads,
                 v1::HeadBand* band) {
  *band->mutable_ci_low() = ToMatrix(LowEnds(intervals), n_layers, n_heads);
  *band->mutable_ci_high() = ToMatrix(HighEnds(intervals), n_layers, n_heads);
}

v1::TargetGroup ToMessage(const analysis::TargetGroup& group, const analysis::TargetsResult& result) {
  v1::TargetGroup message;
  message.set_n_operations(static_cast<uint32_t>(group.n_operations));
  if (group.n_operations == 0) return message;
  message.set_n_prompts(group.n_prompts);
  message.set_weight(group.weight);
  *message.mutable_scores() = ToMatrix(group.scores, result.n_layers, result.n_heads);
  Assign(group.per_layer, message.mutable_per_layer());
  if (group.heads.empty()) return message;
  SetHeadBand(group.heads, result.n_layers, result.n_heads, message.mutable_heads());
  Assign(LowEnds(group.layers), message.mutable_band()->mutable_ci_low());
  Assign(HighEnds(group.layers), message.mutable_band()->mutable_ci_high());
  return message;
}

v1::TargetContrast ToMessage(const analysis::TargetContrast& contrast,
                             const analysis::TargetsResult& result) {
  v1::TargetContrast message;
  if (contrast.difference.empty()) return message;
  const auto matrix = [&](const std::vector<double>& values) {
    return ToMatrix(values, result.n_layers, result.n_heads);
  };
  *message.mutable_difference() = matrix(contrast.difference);
  if (!contrast.heads.empty())
    SetHeadBand(contrast.heads, result.n_layers, result.n_heads, message.mutable_heads());
  message.set_n_prompts(contrast.n_prompts);
  if (!contrast.prompt_effect.empty()) *message.mutable_prompt_effect() = matrix(contrast.prompt_effect);
  if (!contrast.p_adjusted.empty()) *message.mutable_p_adjusted() = matrix(contrast.p_adjusted);
  return message;
}

v1::Targets ToMessage(const std::string& model, const runs::TargetsFindings& findings) {
  const analysis::TargetsResult& result = findings.result;
  v1::Targets message;
  message.set_model(model);
  SetAggregation(result.options, &message);
  message.set_n_layers(result.n_layers);
  message.set_n_heads(result.n_heads);
  message.set_n_heads_kept(result.n_heads_kept);
  const bool has_intervals =
      std::ranges::any_of(result.groups, [](const auto& group) { return !group.heads.empty(); });
  message.set_resamples(has_intervals ? result.options.bootstrap_resamples : 0);
  message.set_null_resamples(findings.options.null_resamples);
  for (size_t i = 0; i < result.groups.size(); ++i) {
    v1::TargetGroup& group = *message.add_groups();
    group = ToMessage(result.groups[i], result);
    group.set_name(findings.options.groups[i]);
    if (group.n_operations() > 0) group.set_file(findings.files[i]);
  }
  for (size_t i = 0; i < result.contrasts.size(); ++i) {
    v1::TargetContrast& contrast = *message.add_contrasts();
    contrast = ToMessage(result.contrasts[i], result);
    contrast.set_group_a(findings.options.groups[findings.options.contrasts[i].first]);
    contrast.set_group_b(findings.options.groups[findings.options.contrasts[i].second]);
  }
  return message;
}

std::unique_ptr<jobs::Work> MakeTargetsWork(const v1::JobSpec& spec, runs::RunRequest request,
                                            const runs::RunEnvironment& environment) {
  const v1::TargetsSpec& asked = spec.targets();
  Groups groups = GroupsOf(asked);
  analysis::TargetsOptions targets{.groups = groups.names(),
                                   .null_resamples = asked.profile().evaluation().null_resamples()};
  for (const v1::Target& target : asked.targets()) {
    targets.targets.push_back({.prompt = target.prompt(),
                               .first_query = target.first_query(),
                               .last_query = target.last_query(),
                               .first_key = target.first_key(),
                               .last_key = target.last_key(),
                               .group = *groups.Find(target.group()),
                               .weight = target.weight() == 0 ? 1 : target.weight()});
  }
  std::vector<runs::AskedDetector> detectors;
  for (const std::string& text : asked.detectors()) {
    detectors.push_back(*ParseDetector(text));
    detectors.back().detector.group = *groups.Find(text);
  }
  for (const v1::Contrast& contrast : asked.contrasts())
    targets.contrasts.emplace_back(*groups.Find(contrast.group_a()), *groups.Find(contrast.group_b()));
  const auto encode = [](const std::string& model, const runs::TargetsFindings& findings) {
    return Encode(ToMessage(model, findings));
  };
  return runs::NewTargetsRun(std::move(request), std::move(targets), std::move(detectors), encode,
                             environment);
}

}  // namespace

const JobKind kTargetsKind = {.name = "targets", .check = CheckTargetsSpec, .make_work = MakeTargetsWork};

}  // namespace induct::service
