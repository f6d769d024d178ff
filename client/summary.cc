#include "client/summary.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/figures/captions.h"
#include "client/summary_rows.h"
#include "client/table.h"
#include "client/text.h"
#include "client/verdicts.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr int kHeadsShown = 5;
constexpr int kAttentionsShown = 8;
constexpr size_t kPromptColumns = 70;

std::string TopHeadText(const v1::TopHead& head) {
  std::string text = absl::StrFormat("layer %d head %d: %.3f", head.layer(), head.head(), head.score());
  if (head.has_ci_low() && head.has_ci_high())
    absl::StrAppendFormat(&text, " [%.3f, %.3f]", head.ci_low(), head.ci_high());
  return text;
}

// Named as in the JSON: peak_layer, peak_depth, centroid_rel, bandwidth_interpolated.
std::string CurveRows(const v1::Profile& profile) {
  if (!profile.has_peak_layer()) return "no head scores above 0: there is no peak\n";
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  const auto row = [](const char* label, double value, const char* unit, bool has_interval,
                      const v1::BootstrapEstimate& interval) {
    return Row(label,
               absl::StrFormat("%.3f%s%s", value, unit,
                               has_interval ? IntervalInWords(interval.ci_low(), interval.ci_high()) : ""));
  };
  return absl::StrCat(
      Row("peak layer", absl::StrCat(profile.peak_layer(), " of 0 to ", profile.n_layers() - 1)),
      row("peak depth", profile.peak_depth(), "", bootstrap.has_peak_depth(), bootstrap.peak_depth()),
      row("centroid (relative)", profile.centroid_rel(), "", bootstrap.has_centroid_rel(),
          bootstrap.centroid_rel()),
      row("bandwidth (interpolated)", profile.bandwidth_interpolated(), " of the depth",
          bootstrap.has_bandwidth_interpolated(), bootstrap.bandwidth_interpolated()));
}

std::string Text(const std::string& label, const v1::Profile& profile) {
  std::string text =
      absl::StrCat(label, ": ", profile.score(), " profile of ", Counted(profile.n_layers(), "layer"), " x ",
                   Counted(profile.n_heads(), "head"), "; ", MeasuredOn(profile), "\n");
  for (int i = 0; i < std::min(profile.top_heads_size(), kHeadsShown); ++i)
    text += Row(i == 0 ? "best heads" : "", TopHeadText(profile.top_heads(i)));
  return text + CurveRows(profile);
}

std::string Text(const std::string& label, const v1::LagBuckets& lags) {
  std::string text = absl::StrCat(label, ": ", lags.score(), " profile by lag\n");
  for (const v1::LagBucket& bucket : lags.buckets()) {
    std::string value =
        bucket.n_copy_ops() == 0 ? "no operations" : Counted(bucket.n_copy_ops(), "copy operation");
    if (bucket.has_centroid_rel()) absl::StrAppendFormat(&value, ", centroid %.3f", bucket.centroid_rel());
    if (bucket.bootstrap().has_centroid_rel()) {
      value += IntervalInWords(bucket.bootstrap().centroid_rel().ci_low(),
                               bucket.bootstrap().centroid_rel().ci_high());
    }
    text += Row(LagRange(bucket), value);
  }
  if (!lags.has_centroid_difference()) return text;
  return text +
         Row("centroid, last - first",
             absl::StrFormat("%+.3f of the depth%s; peaks are not tested", lags.centroid_difference().value(),
                             OptionalIntervalInWords(lags.centroid_difference())));
}

// A token of the prompt with its position: "' Mary' at 12"; its id where there are no texts.
std::string PrintableToken(const v1::AttentionPattern& pattern, uint32_t position) {
  const int index = static_cast<int>(position);
  const std::string token = pattern.tokens().empty()
                                ? absl::StrCat("id ", pattern.token_ids(index))
                                : absl::StrCat("'", Printable(pattern.tokens(index)), "'");
  return absl::StrCat(token, " at ", position);
}

// One line's worth of the prompt.
std::string PromptText(const v1::AttentionPattern& pattern) {
  const std::string text = Printable(pattern.tokens().empty() ? absl::StrJoin(pattern.token_ids(), " ")
                                                              : absl::StrJoin(pattern.tokens(), ""));
  return DisplayWidth(text) <= kPromptColumns ? text
                                              : absl::StrCat(FirstColumns(text, kPromptColumns), "...");
}

// A cell of the pattern.
struct Attention {
  uint32_t query = 0, key = 0;
  float value = 0;
};

using ReadCells = std::set<std::pair<uint32_t, uint32_t>>;  // query and key

// The strongest attentions to others than the first tokens, which take what a head has no use for.
// Of equal ones those that the score reads come first.
std::vector<Attention> StrongestBeyond(uint32_t n_first, const FloatArray& attention, const ReadCells& read) {
  const auto n_tokens = static_cast<uint32_t>(attention.shape[0]);
  std::vector<Attention> cells;
  for (uint32_t query = 0; query < n_tokens; ++query) {
    for (uint32_t key = n_first; key <= query; ++key)
      cells.push_back({query, key, attention.values[size_t{query} * n_tokens + key]});
  }
  const auto end = cells.begin() + std::min<ptrdiff_t>(kAttentionsShown, std::ssize(cells));
  std::partial_sort(cells.begin(), end, cells.end(), [&](const Attention& a, const Attention& b) {
    const auto order = [&](const Attention& cell) {
      return std::tuple(-cell.value, !read.contains({cell.query, cell.key}), cell.query, cell.key);
    };
    return order(a) < order(b);
  });
  cells.erase(end, cells.end());
  return cells;
}

// Mean attention of the queries after the first tokens to these.
double MeanOnFirst(uint32_t n_first, const FloatArray& attention) {
  const auto n_tokens = static_cast<uint32_t>(attention.shape[0]);
  double sum = 0;
  for (uint32_t query = n_first; query < n_tokens; ++query) {
    for (uint32_t key = 0; key < n_first; ++key) sum += attention.values[size_t{query} * n_tokens + key];
  }
  return sum / (n_tokens - n_first);
}

std::string TargetsText(const v1::AttentionPattern& pattern, const FloatArray& attention) {
  if (pattern.targets().empty()) return "no copy operation in this prompt";
  double sum = 0;
  for (const v1::PatternTarget& target : pattern.targets())
    sum += attention.values[size_t{target.query()} * pattern.token_ids_size() + target.key()];
  return absl::StrFormat("%.3f on average, over %s (*)", sum / pattern.targets_size(),
                         Counted(pattern.targets_size(), "pair"));
}

std::string AttentionRows(const v1::AttentionPattern& pattern, const FloatArray& attention) {
  const uint32_t n_first = std::max(pattern.n_bos(), 1u);
  if (pattern.token_ids_size() <= static_cast<int>(n_first)) return "";
  ReadCells read;
  for (const v1::PatternTarget& target : pattern.targets()) read.emplace(target.query(), target.key());
  std::string text =
      Row("what the score reads", TargetsText(pattern, attention)) +
      Row("to the first token", absl::StrFormat("%.3f on average", MeanOnFirst(n_first, attention)));
  const char* label = "strongest beyond it";
  for (const Attention& cell : StrongestBeyond(n_first, attention, read)) {
    text += Row(std::exchange(label, ""),
                absl::StrFormat("%.3f  %s -> %s%s", cell.value, PrintableToken(pattern, cell.query),
                                PrintableToken(pattern, cell.key),
                                read.contains({cell.query, cell.key}) ? " *" : ""));
  }
  return text;
}

std::string Text(const std::string& label, const v1::AttentionPattern& pattern,
                 const std::optional<FloatArray>& attention) {
  return absl::StrCat(label, ": attention pattern of layer ", pattern.head().layer(), " head ",
                      pattern.head().head(), " on prompt ", pattern.prompt(), ", ",
                      Counted(pattern.token_ids_size(), "token"), "\n", Row("tokens", PromptText(pattern)),
                      attention.has_value() ? AttentionRows(pattern, *attention) : "");
}

// A row a model: what a comparison of many sizes is read from.
std::string PeakTable(const SavedRun& run) {
  std::vector<std::vector<std::string>> rows;
  for (const SavedModel& model : run.models) {
    if (!model.profile.has_value()) continue;
    const v1::Profile& profile = *model.profile;
    const auto number = [](bool has, double value) { return has ? absl::StrFormat("%.3f", value) : "-"; };
    const bool interval = profile.bootstrap().has_centroid_rel();
    rows.push_back({Printable(model.label), absl::StrFormat("%.0f", model.use.n_parameters()),
                    absl::StrCat(profile.n_layers(), " x ", profile.n_heads()),
                    profile.has_peak_layer() ? absl::StrCat(profile.peak_layer()) : "-",
                    number(profile.has_peak_depth(), profile.peak_depth()),
                    number(profile.has_centroid_rel(), profile.centroid_rel()),
                    interval ? absl::StrFormat("%.3f to %.3f", profile.bootstrap().centroid_rel().ci_low(),
                                               profile.bootstrap().centroid_rel().ci_high())
                             : "-",
                    number(profile.has_bandwidth_interpolated(), profile.bandwidth_interpolated())});
  }
  return FormatTable({"MODEL", "PARAMETERS", "LAYERS X HEADS", "PEAK LAYER", "PEAK DEPTH", "CENTROID",
                      "95 % INTERVAL", "BANDWIDTH"},
                     rows);
}

// By its name in file names; nullptr where the run lacks it.
const SavedModel* FindModel(const SavedRun& run, const std::string& name) {
  for (const SavedModel& model : run.models) {
    if (model.use.name() == name) return &model;
  }
  return nullptr;
}

// What the table above calls the model.
std::string SummaryLabelOf(const SavedRun& run, const std::string& name) {
  const SavedModel* model = FindModel(run, name);
  return model == nullptr ? Printable(name) : Printable(model->label);
}

// The margin of equivalence: "one layer of demo-small (0.250)".
std::string LayerText(const SavedRun& run, const v1::ModelPair& pair) {
  const SavedModel* a = FindModel(run, pair.model_a());
  const SavedModel* b = FindModel(run, pair.model_b());
  if (a == nullptr || b == nullptr) return "one layer";
  const SavedModel& smaller = b->use.n_layers() < a->use.n_layers() ? *b : *a;
  const bool same = a->use.n_layers() == b->use.n_layers();
  return absl::StrFormat("one layer of %s (%.3f)", same ? "either" : Printable(smaller.label),
                         1.0 / smaller.use.n_layers());
}

std::string DifferenceRow(const char* label, const v1::PairedDifference& difference,
                          const std::string& layer) {
  const std::string verdict = DifferenceVerdict(difference, layer);
  return Row(label, absl::StrCat(absl::StrFormat("%+.3f%s", difference.difference(),
                                                 OptionalIntervalInWords(difference)),
                                 verdict.empty() ? "" : ": ", verdict));
}

std::string PairText(const SavedRun& run, const v1::ModelPair& pair) {
  const std::string models =
      absl::StrCat(SummaryLabelOf(run, pair.model_b()), " - ", SummaryLabelOf(run, pair.model_a()), ":");
  if (!pair.has_centroid_rel()) return absl::StrCat(models, " a profile is 0 everywhere\n");
  const std::string layer = LayerText(run, pair);
  return absl::StrCat(
      models, "\n", DifferenceRow("peak depth", pair.peak_depth(), layer),
      DifferenceRow("centroid (relative)", pair.centroid_rel(), layer),
      DifferenceRow("bandwidth (interpolated)", pair.bandwidth_interpolated(), layer),
      pair.has_overlap() ? Row("overlap of curves", absl::StrFormat("%.3f", pair.overlap())) : "");
}

std::string ModelText(const SavedModel& model) {
  const std::string label = Printable(model.label);
  if (model.causal.has_value()) return AblationRows(label, *model.causal);
  if (model.lag_buckets.has_value()) return Text(label, *model.lag_buckets);
  if (model.pattern.has_value()) return Text(label, *model.pattern, model.attention);
  std::string text;
  if (model.profile.has_value()) text += Text(label, *model.profile);
  if (model.nulls.has_value()) text += NullsRows(label, *model.nulls);
  return text;
}

bool HasProfile(const SavedRun& run) {
  return std::ranges::any_of(run.models, [](const SavedModel& model) { return model.profile.has_value(); });
}

// Prompts that the intervals rest on: of an ablation, those that it was measured on.
uint32_t PromptsOfIntervals(const SavedRun& run) {
  for (const SavedModel& model : run.models) {
    if (model.causal) return static_cast<uint32_t>(model.causal->evaluation_prompts_size());
  }
  return run.metadata.n_prompts();
}

std::string NotesOnIntervals(const SavedRun& run) {
  std::string text;
  const uint32_t n_prompts = PromptsOfIntervals(run);  // 0: of a run that does not say
  if (n_prompts > 0 && n_prompts < kFewPrompts) {
    text += Row("warning", absl::StrCat("few prompts: intervals of fewer than ", kFewPrompts,
                                        " miss the true value more often than 1 time in 20"));
  }
  text += Row("intervals", "speak of prompts made of these words, and of this model as it was trained");
  if (HasProfile(run))
    text += Row("", "best heads were chosen as the highest: their level is too high (docs/method.md)");
  return text;
}

}  // namespace

std::string SummaryText(const SavedRun& run, const std::string& saved) {
  std::string text;
  if (run.cross_size.has_value()) {
    text = PeakTable(run);
    for (const v1::ModelPair& pair : run.cross_size->pairs()) text += PairText(run, pair);
  } else {
    for (const SavedModel& model : run.models) text += ModelText(model);
  }
  for (const std::string& warning : run.metadata.warnings()) text += Row("warning", Printable(warning));
  if (HasIntervals(run)) text += NotesOnIntervals(run);
  return text + Row("saved in", saved);
}

absl::StatusOr<std::string> ResultJson(const SavedRun& run) {
  if (run.cross_size.has_value()) return ToJson(*run.cross_size);
  for (const SavedModel& model : run.models) {
    if (model.nulls.has_value()) return ToJson(*model.nulls);
    if (model.causal.has_value()) return ToJson(*model.causal);
    if (model.lag_buckets.has_value()) return ToJson(*model.lag_buckets);
    if (model.pattern.has_value()) return ToJson(*model.pattern);
    if (model.profile.has_value()) return ToJson(*model.profile);
  }
  return absl::DataLossError(absl::StrCat(run.path, " holds no result", run.problems.empty() ? "" : ": ",
                                          absl::StrJoin(run.problems, "; ")));
}

}  // namespace induct::client
