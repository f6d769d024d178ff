#include "client/kinds/targets.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/figures/captions.h"
#include "client/figures/targets_heatmap.h"
#include "client/kinds/checks.h"
#include "client/record_file.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

using google::protobuf::Message;
using nlohmann::json;

constexpr int kMaxTargets = 1'000'000;
constexpr int kBestHeadsShown = 3;
constexpr char kDefaultGroup[] = "targets";

std::string TargetsFile(std::string_view model) {
  return absl::StrCat("targets_", std::string(model), ".json");
}
std::string TargetLinesFile(const std::string& model) { return absl::StrCat("targets_", model, ".jsonl"); }

absl::StatusOr<uint32_t> ReadPosition(const std::string& name, const json& value) {
  if (const std::optional<uint32_t> position = AsUint32(value)) return *position;
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", Quoted(value), " is no whole number from 0 to ", UINT32_MAX));
}

// A position, or the two ends of a range.
absl::Status ReadRange(const std::string& name, const json& value, uint32_t* first, uint32_t* last) {
  if (!value.is_array()) {
    INDUCT_ASSIGN_OR_RETURN(*first, ReadPosition(name, value));
    *last = *first;
    return absl::OkStatus();
  }
  if (value.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": ", Quoted(value), " is no position and no range, [first, last]"));
  }
  INDUCT_ASSIGN_OR_RETURN(*first, ReadPosition(name, value[0]));
  INDUCT_ASSIGN_OR_RETURN(*last, ReadPosition(name, value[1]));
  if (*first <= *last) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": ", Quoted(value), " ends before it begins; write [first, last]"));
}

absl::Status ReadGroupAndWeight(const json& object, v1::Target* target) {
  target->set_group(kDefaultGroup);
  target->set_weight(1);
  if (const auto group = object.find("group"); group != object.end()) {
    if (!group->is_string() || group->get<std::string>().empty())
      return absl::InvalidArgumentError(absl::StrCat("group: ", Quoted(*group), " is no name"));
    target->set_group(group->get<std::string>());
  }
  if (const auto weight = object.find("weight"); weight != object.end()) {
    if (!weight->is_number() || !(weight->get<double>() > 0))
      return absl::InvalidArgumentError(absl::StrCat("weight: ", Quoted(*weight), " is no number above 0"));
    target->set_weight(weight->get<double>());
  }
  return absl::OkStatus();
}

absl::Status ReadTarget(const std::string&, const std::string& line, Message* record) {
  auto* target = dynamic_cast<v1::Target*>(record);
  INDUCT_ASSIGN_OR_RETURN(const json object,
                          ParseRecord(line, {"prompt", "query", "key", "group", "weight"}));
  for (const char* name : {"prompt", "query", "key"}) {
    if (!object.contains(name))
      return absl::InvalidArgumentError(absl::StrCat("no ", name, "; a target has prompt, query and key"));
  }
  uint32_t first = 0, last = 0;
  INDUCT_ASSIGN_OR_RETURN(first, ReadPosition("prompt", object["prompt"]));
  target->set_prompt(first);
  INDUCT_RETURN_IF_ERROR(ReadRange("query", object["query"], &first, &last));
  target->set_first_query(first);
  target->set_last_query(last);
  INDUCT_RETURN_IF_ERROR(ReadRange("key", object["key"], &first, &last));
  target->set_first_key(first);
  target->set_last_key(last);
  if (target->last_key() > target->first_query()) {
    return absl::InvalidArgumentError(absl::StrCat("key ", target->last_key(), " is behind query ",
                                                   target->first_query(), ", which cannot attend to it"));
  }
  return ReadGroupAndWeight(object, target);
}

const RecordKind& TargetRecords() {
  static const auto* const kKind =
      new RecordKind{.field = "targets", .noun = "target", .most = kMaxTargets, .read = ReadTarget};
  return *kKind;
}

absl::Status ApplyTargets(const std::vector<std::string>& values, v1::JobSpec* spec) {
  return ReadRecords(values.front(), TargetRecords(), spec->mutable_targets());
}

// Whether there is such a detector. What a token's text is only the model's tokenizer knows.
bool IsDetector(const std::string& text) {
  static constexpr std::string_view kWords[] = {"sink", "self", "same_token"};
  if (std::find(std::begin(kWords), std::end(kWords), text) != std::end(kWords)) return true;
  absl::string_view rest = text;
  uint32_t offset = 0;
  if (absl::ConsumePrefix(&rest, "offset:")) return absl::SimpleAtoi(rest, &offset) && offset >= 1;
  return absl::ConsumePrefix(&rest, "token:") && !rest.empty();
}

std::set<std::string> GroupNames(const v1::TargetsSpec& spec) {
  std::set<std::string> names(spec.detectors().begin(), spec.detectors().end());
  for (const v1::Target& target : spec.targets()) names.insert(target.group());
  return names;
}

absl::Status ApplyDetectors(const std::vector<std::string>& values, v1::JobSpec* spec) {
  std::set<std::string> names = GroupNames(spec->targets());
  for (const std::string& value : values) {
    if (!IsUtf8(value)) return absl::InvalidArgumentError("--detect: no valid UTF-8");
    if (!IsDetector(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--detect: \"", value,
                       "\" is none: sink, self, offset:K with K of 1 or more, same_token, token:TEXT"));
    }
    if (!names.insert(value).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--detect: ", value, " is given twice, or is a group of the targets"));
    }
    spec->mutable_targets()->add_detectors(value);
  }
  return absl::OkStatus();
}

// Why no comma of the text has a group on either side.
absl::Status NoContrast(const std::string& text, const std::set<std::string>& groups) {
  const size_t comma = text.find(',');
  if (comma == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--contrast: \"", text, "\" is no pair of groups; write A,B"));
  }
  std::string unknown = text.substr(0, comma);
  for (size_t at = comma; at != std::string::npos; at = text.find(',', at + 1)) {
    if (groups.contains(text.substr(0, at))) unknown = text.substr(at + 1);
    if (groups.contains(text.substr(at + 1))) unknown = text.substr(0, at);
  }
  const std::vector<std::string> known(groups.begin(), groups.end());
  const std::string nearest = NearestWord(unknown, known);
  return absl::InvalidArgumentError(absl::StrCat("--contrast: there is no group \"", unknown, "\"; ",
                                                 nearest.empty()
                                                     ? absl::StrCat("there are ", absl::StrJoin(known, ", "))
                                                     : absl::StrCat("did you mean ", nearest, "?")));
}

// Names may hold commas: the one that parts two groups counts.
absl::StatusOr<v1::Contrast> ParseContrast(const std::string& text, const std::set<std::string>& groups) {
  std::vector<v1::Contrast> found;
  for (size_t at = text.find(','); at != std::string::npos; at = text.find(',', at + 1)) {
    if (!groups.contains(text.substr(0, at)) || !groups.contains(text.substr(at + 1))) continue;
    found.emplace_back().set_group_a(text.substr(0, at));
    found.back().set_group_b(text.substr(at + 1));
  }
  if (found.empty()) return NoContrast(text, groups);
  if (found.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat("--contrast: \"", text, "\" is ", found.size(),
                                                   " pairs of groups; call them by names without commas"));
  }
  if (found[0].group_a() == found[0].group_b()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--contrast: ", found[0].group_a(), " is compared with itself"));
  }
  return found[0];
}

absl::Status ApplyContrasts(const std::vector<std::string>& values, v1::JobSpec* spec) {
  const std::set<std::string> groups = GroupNames(spec->targets());
  if (groups.empty()) return absl::OkStatus();  // CheckAsked says so
  for (const std::string& value : values) {
    if (!IsUtf8(value)) return absl::InvalidArgumentError("--contrast: no valid UTF-8");
    INDUCT_ASSIGN_OR_RETURN(*spec->mutable_targets()->add_contrasts(), ParseContrast(value, groups));
  }
  return absl::OkStatus();
}

absl::Status CheckAsked(const Settings&, v1::JobSpec* spec) {
  if (!spec->targets().targets().empty() || !spec->targets().detectors().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("there is nothing to read: give --targets FILE, --detect NAME, or both");
}

std::vector<std::string> TargetsFlags(const v1::JobSpec& spec, const std::string& model) {
  const v1::TargetsSpec& targets = spec.targets();
  std::vector<std::string> flags;
  if (targets.n_targets() > 0) flags.push_back(absl::StrCat("--targets RUN/", TargetLinesFile(model)));
  for (const std::string& detector : targets.detectors())
    flags.push_back(absl::StrCat("--detect ", ShellQuoted(detector)));
  for (const v1::Contrast& contrast : targets.contrasts()) {
    flags.push_back(
        absl::StrCat("--contrast ", ShellQuoted(absl::StrCat(contrast.group_a(), ",", contrast.group_b()))));
  }
  return flags;
}

absl::Status CheckGroup(const v1::TargetGroup& group, ModelSize size) {
  if (group.n_operations() == 0) return absl::OkStatus();
  if (!IsSafeFileName(group.file()) || !absl::StartsWith(group.file(), "targets_") ||
      !absl::EndsWith(group.file(), ".npy"))
    return absl::DataLossError("the scores of a group are in a file that cannot be theirs");
  const bool bands = group.has_heads();
  if (!group.has_scores() || bands != group.has_band() ||
      (bands && (!group.heads().has_ci_low() || !group.heads().has_ci_high())))
    return absl::DataLossError("a group lacks its values");
  INDUCT_RETURN_IF_ERROR(CheckLists(size, {&group.per_layer()}));
  return bands ? CheckLists(size, {&group.band().ci_low(), &group.band().ci_high()}) : absl::OkStatus();
}

absl::Status CheckContrast(const v1::TargetContrast& contrast, const v1::Targets& targets) {
  if (!contrast.has_difference()) return absl::OkStatus();
  if (!GroupNamed(targets, contrast.group_a()).has_scores() ||
      !GroupNamed(targets, contrast.group_b()).has_scores())
    return absl::DataLossError("a contrast is of groups that it does not hold");
  const bool whole =
      (!contrast.has_heads() || (contrast.heads().has_ci_low() && contrast.heads().has_ci_high())) &&
      (!contrast.has_p_adjusted() || contrast.has_prompt_effect());
  return whole ? absl::OkStatus() : absl::DataLossError("a contrast lacks its values");
}

absl::Status CheckTargets(const Message& result, ModelSize size) {
  const auto& targets = As<v1::Targets>(result);
  if (targets.n_layers() != size.n_layers || targets.n_heads() != size.n_heads)
    return absl::DataLossError("it is of a model of another size than metadata.json says");
  if (targets.groups().empty()) return absl::DataLossError("it has no groups");
  std::set<std::string> names, files;
  for (const v1::TargetGroup& group : targets.groups()) {
    INDUCT_RETURN_IF_ERROR(CheckGroup(group, size));
    if (!names.insert(group.name()).second ||
        (group.n_operations() > 0 && !files.insert(group.file()).second))
      return absl::DataLossError("two groups have one name or file");
  }
  for (const v1::TargetContrast& contrast : targets.contrasts())
    INDUCT_RETURN_IF_ERROR(CheckContrast(contrast, targets));
  return absl::OkStatus();
}

std::vector<ArrayFile> GroupArrays(const Message& result, const std::string&, ModelSize size) {
  std::vector<ArrayFile> arrays;
  for (const v1::TargetGroup& group : As<v1::Targets>(result).groups()) {
    if (group.n_operations() > 0) arrays.push_back({group.file(), {size.n_layers, size.n_heads}});
  }
  return arrays;
}

// The fewest of any group.
uint32_t PromptsOfGroups(const Message& result) {
  uint32_t fewest = UINT32_MAX;
  for (const v1::TargetGroup& group : As<v1::Targets>(result).groups()) {
    if (group.has_heads()) fewest = std::min(fewest, group.n_prompts());
  }
  return fewest == UINT32_MAX ? 0 : fewest;
}

std::string PlaceOf(int head, const v1::HeadMatrix& matrix) {
  const int n_heads = static_cast<int>(matrix.n_heads());
  return absl::StrCat("layer ", head / n_heads, " head ", head % n_heads);
}

std::string GroupRows(const v1::TargetGroup& group) {
  std::string text = absl::StrCat("group ", Printable(group.name()), ": ", OperationsText(group), "\n");
  const char* label = "best heads";
  for (const int head : BestHeads(group, kBestHeadsShown)) {
    const std::string interval = group.has_heads() ? IntervalText(group.heads().ci_low().values(head),
                                                                  group.heads().ci_high().values(head))
                                                   : "";
    text += Row(std::exchange(label, ""), absl::StrFormat("%s: %.3f%s", PlaceOf(head, group.scores()),
                                                          group.scores().values(head), interval));
  }
  return text;
}

std::string ContrastRows(const v1::TargetContrast& contrast) {
  const std::string heading = absl::StrCat("contrast ", Printable(ContrastName(contrast)), ":");
  if (!contrast.has_difference()) return absl::StrCat(heading, " none, as one of them has no operation\n");
  const int head = FurthestHead(contrast);
  std::string furthest =
      absl::StrFormat("%s: %+.3f", PlaceOf(head, contrast.difference()), contrast.difference().values(head));
  if (contrast.has_heads()) {
    furthest +=
        IntervalInWords(contrast.heads().ci_low().values(head), contrast.heads().ci_high().values(head));
  }
  if (contrast.has_p_adjusted()) {
    absl::StrAppendFormat(&furthest, "; prompts' own %+.3f, %s", contrast.prompt_effect().values(head),
                          PText(contrast.p_adjusted().values(head)));
  }
  return absl::StrCat(heading, "\n", Row("largest difference", furthest),
                      Row("test", ContrastVerdict(contrast)),
                      contrast.has_p_adjusted() ? Row("", ContrastBasis(contrast)) : "");
}

std::string TargetsSummary(const ShownResult& of) {
  const v1::Targets& targets = *of.model->Get<v1::Targets>();
  std::string text = absl::StrCat(
      Printable(of.model->label), ": attention by group of ", Counted(targets.n_layers(), "layer"), " x ",
      Counted(targets.n_heads(), "head"), "; a score is the mean of a group's operations\n");
  for (const v1::TargetGroup& group : targets.groups()) text += GroupRows(group);
  for (const v1::TargetContrast& contrast : targets.contrasts()) text += ContrastRows(contrast);
  return text + Row("note",
                    "best heads and largest differences were chosen as such: their level is too high, and "
                    "intervals do not account for it (docs/method.md)");
}

}  // namespace

std::string OperationsText(const v1::TargetGroup& group) {
  if (group.n_operations() == 0) return "no operation";
  std::string text =
      absl::StrCat(Counted(group.n_operations(), "operation"), " in ", Counted(group.n_prompts(), "prompt"));
  if (group.weight() != group.n_operations()) absl::StrAppendFormat(&text, ", weight %.6g", group.weight());
  return text;
}

std::vector<int> BestHeads(const v1::TargetGroup& group, int most) {
  const auto& scores = group.scores().values();
  std::vector<int> heads(static_cast<size_t>(scores.size()));
  std::iota(heads.begin(), heads.end(), 0);
  std::stable_sort(heads.begin(), heads.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  heads.resize(std::min(heads.size(), static_cast<size_t>(most)));
  return heads;
}

const v1::TargetGroup& GroupNamed(const v1::Targets& targets, const std::string& name) {
  for (const v1::TargetGroup& group : targets.groups()) {
    if (group.name() == name) return group;
  }
  return v1::TargetGroup::default_instance();
}

std::string ContrastName(const v1::TargetContrast& contrast) {
  return absl::StrCat(contrast.group_a(), " - ", contrast.group_b());
}

int FurthestHead(const v1::TargetContrast& contrast) {
  const auto& p = contrast.p_adjusted().values();
  const auto& difference = contrast.difference().values();
  const bool any = std::any_of(p.begin(), p.end(), [](double each) { return each <= kSignificant; });
  int furthest = -1;
  for (int head = 0; head < difference.size(); ++head) {
    if (any && p[head] > kSignificant) continue;
    if (furthest < 0 || std::abs(difference[head]) > std::abs(difference[furthest])) furthest = head;
  }
  return furthest;
}

std::string ContrastVerdict(const v1::TargetContrast& contrast) {
  if (!contrast.has_p_adjusted()) {
    return absl::StrCat("no p-values: ", Counted(contrast.n_prompts(), "prompt"),
                        " with operations of both, where a test takes five");
  }
  const auto& p = contrast.p_adjusted().values();
  const auto n = static_cast<uint64_t>(
      std::count_if(p.begin(), p.end(), [](double each) { return each <= kSignificant; }));
  const std::string basis = " shown to differ (p <= 0.05, adjusted over heads)";
  if (n == 0) return absl::StrCat("no head was", basis);
  return absl::StrCat(n, " of ", Counted(static_cast<uint64_t>(p.size()), "head"), n == 1 ? " was" : " were",
                      basis);
}

std::string ContrastBasis(const v1::TargetContrast& contrast) {
  return absl::StrCat(
      "the difference is that of the means over all operations; p is of the mean of prompts' own "
      "differences, over the ",
      Counted(contrast.n_prompts(), "prompt"), " with both");
}

AnalysisKind TargetsKind() {
  return {
      .field = v1::JobSpec::kTargetsFieldNumber,
      .commands = {{.name = "targets",
                    .help = "Attention where you say: at targets of a file, or what detectors find"}},
      .flags = {{.name = "--targets",
                 .type_name = "FILE",
                 .help =
                     "What to read, an object a line: {\"prompt\": 0, \"query\": 7, \"key\": 3, \"group\": "
                     "\"name\", \"weight\": 1.0}; all count from 0, BOS included, query and key may be "
                     "[first, last], group and weight may be left out",
                 .apply = ApplyTargets,
                 .records = &TargetRecords()},
                {.name = "--detect",
                 .type_name = "NAME",
                 .help = "Read this in every prompt, as a group of that name: sink, self, offset:K, "
                         "same_token, token:TEXT; may be given several times",
                 .repeated = true,
                 .apply = ApplyDetectors},
                {.name = "--contrast",
                 .type_name = "A,B",
                 .help = "Compare two groups, the first minus the second; may be given several times",
                 .repeated = true,
                 .apply = ApplyContrasts}},
      .topics = {"curves", "intervals", "tests"},
      .tells_layer_scores = false,
      .in_plan = false,
      .complete = CheckAsked,
      .flags_to_repeat = TargetsFlags,
      .result = {.name = TargetsFile,
                 .prototype = &v1::Targets::default_instance(),
                 .check = CheckTargets,
                 .arrays = GroupArrays},
      .summary = TargetsSummary,
      .has_intervals = [](const Message& result) { return As<v1::Targets>(result).resamples() > 0; },
      .prompts_of_intervals = PromptsOfGroups,
      .figures = [](const ShownResult& of) { return TargetsFigures(*of.model); },
      .title = "Targets",
      .question = "How much do heads attend where the user says?",
      .definitions =
          {kIntervalsDefinition,
           "Targets: an operation is a query, and its value the attention on all its keys together. A score "
           "is the weighted mean over a group's operations. The difference of two groups is that of their "
           "scores, both resampled together; its p is of the mean of the prompts' own differences, "
           "two-sided, by resampling prompts (bootstrap-t), adjusted by the maximum over heads."},
      .suggestion =
          "induct-client targets --model NAME --targets FILE: how much do heads attend to positions "
          "of your own choice?",
      .findings = TargetsFindings};
}

}  // namespace induct::client
