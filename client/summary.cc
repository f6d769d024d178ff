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
#include "client/table.h"
#include "client/text.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

constexpr int kHeadsShown = 5;
constexpr int kAttentionsShown = 8;
constexpr size_t kPromptColumns = 70;

// A line of the table: what, and its value.
std::string Row(const std::string& label, const std::string& value) {
  return absl::StrFormat("%-26s%s\n", label, value);
}

std::string IntervalInWords(double low, double high) {
  return absl::StrFormat(" (95 %% interval %.3f to %.3f)", low, high);
}

// Of a message with optional ci_low and ci_high.
template <typename Message>
std::string OptionalIntervalInWords(const Message& message) {
  return message.has_ci_low() && message.has_ci_high() ? IntervalInWords(message.ci_low(), message.ci_high())
                                                       : "";
}

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

int SignificantText(const google::protobuf::RepeatedField<double>& p) {
  return static_cast<int>(
      std::count_if(p.begin(), p.end(), [](double value) { return value <= kSignificant; }));
}

// What the null leaves out; empty where that is nothing.
std::string DroppedText(const v1::AntecedentNull& null) {
  if (null.n_dropped() == 0) return "";
  return absl::StrCat("; ", Counted(null.n_dropped(), "operation"), " without a candidate dropped, ",
                      Counted(null.n_prompts(), "prompt"), " left");
}

std::string NullText(const v1::AntecedentNull& null) {
  if (!null.has_p_adjusted()) return "no p-values: that takes five prompts with operations";
  const int best = StrongestHead(null);
  const int n_heads = static_cast<int>(null.effect().n_heads());
  return absl::StrFormat(
      "%d of %d heads shown above it (p <= 0.05, adjusted); most: layer %d head %d by %.3f, p = %.3g",
      SignificantText(null.p_adjusted().values()), null.effect().values_size(), best / n_heads,
      best % n_heads, null.effect().values(best), null.p_adjusted().values(best));
}

std::string NullRow(const char* label, const v1::AntecedentNull& null) {
  if (null.n_copy_ops() == 0) return Row(label, absl::StrCat("not computed: ", Printable(null.reason())));
  return Row(label, absl::StrCat(NullText(null), DroppedText(null)));
}

// The null of a fixed distance, which has intervals and no p.
std::string SameDistanceRow(const v1::AntecedentNull& null) {
  constexpr char kLabel[] = "shuffled: same_distance";
  if (null.n_copy_ops() == 0) return Row(kLabel, absl::StrCat("not computed: ", Printable(null.reason())));
  const int best = StrongestHead(null);
  const int n_heads = static_cast<int>(null.effect().n_heads());
  const std::string interval = null.has_effect_ci_low() ? IntervalInWords(null.effect_ci_low().values(best),
                                                                          null.effect_ci_high().values(best))
                                                        : "";
  return Row(kLabel, absl::StrCat(absl::StrFormat("most: layer %d head %d by %.3f", best / n_heads,
                                                  best % n_heads, null.effect().values(best)),
                                  interval, DroppedText(null)));
}

std::string ShuffledRows(const v1::Nulls& nulls) {
  if (nulls.score() == "previous") return Row("shuffled", "previous has no antecedent to shuffle");
  if (!nulls.has_shuffled_antecedent()) return "";
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  return absl::StrCat(NullRow("shuffled: uniform", shuffled.uniform()),
                      NullRow("shuffled: lag_matched", shuffled.lag_matched()),
                      shuffled.has_same_distance() ? SameDistanceRow(shuffled.same_distance()) : "");
}

std::string PermutationRows(const v1::HeadPermutation& heads) {
  std::string text =
      Row("head permutation",
          heads.p_adjusted().empty()
              ? absl::StrCat("no p-values: ", Printable(heads.reason()))
              : absl::StrFormat("%s denser than scores dealt to places at random (p <= 0.05, adjusted)",
                                Counted(SignificantText(heads.p_adjusted()), "layer")));
  if (heads.has_depth_spread()) {
    text += Row("depth spread",
                absl::StrFormat("%.3f, %.3f when permuted, p = %.3g", heads.depth_spread().observed(),
                                heads.depth_spread().null_mean(), heads.depth_spread().p()));
  }
  return text;
}

std::string Text(const std::string& label, const v1::Nulls& nulls) {
  std::string rows = ShuffledRows(nulls);
  if (nulls.has_head_permutation()) rows += PermutationRows(nulls.head_permutation());
  if (rows.empty()) rows = Row("nulls", "none asked for: shuffle_null and head_permutation_null are false");
  return absl::StrCat(label, ": ", nulls.score(), " scores against their nulls\n", rows);
}

std::string DeltaRow(const char* label, bool has, const v1::IntervalEstimate& delta) {
  return has ? Row(label, absl::StrFormat("%+.4f%s", delta.value(), OptionalIntervalInWords(delta))) : "";
}

std::string ControlRow(const char* label, const v1::ControlArm& arm, int n_ablated) {
  if (arm.draws().empty()) return Row(label, absl::StrCat("no draws: ", Printable(arm.reason())));
  std::string text = Counted(static_cast<uint64_t>(arm.draws_size()), "draw");
  const int n_heads = HeadsOfEachSet(arm);
  if (n_heads != n_ablated) {
    absl::StrAppend(&text, " of ", Counted(static_cast<uint64_t>(n_heads), "head"),
                    " (no p, as that is not the ", n_ablated, " ablated)");
  }
  if (arm.delta_mean().has_copy_nll())
    absl::StrAppendFormat(&text, ", mean delta %+.4f nats", arm.delta_mean().copy_nll());
  if (arm.has_p_copy_nll())
    absl::StrAppendFormat(&text, ", p = %.3g (smallest possible %.3g)", arm.p_copy_nll(), arm.smallest_p());
  return Row(label, text);
}

// The plan's question: do the top heads matter more than random ones? Sets of another size, which have no p,
// do not answer it.
std::string CheckRow(const v1::Causal& causal) {
  if (!causal.has_check() || !causal.random_k().has_p_copy_accuracy()) return "";
  const v1::AblationCheck& check = causal.check();
  const double p = causal.random_k().p_copy_accuracy(), p_nll = causal.random_k().p_copy_nll();
  const char* ablated = causal.chosen_by() == "user" ? "chosen" : "top";
  const char* matter = !check.delta_top_below_delta_rand() ? "do not matter more"
                       : (p <= kSignificant) != (p_nll <= kSignificant)
                           ? "matter more by one metric and not by the other"
                       : p <= kSignificant ? "matter more than each, or nearly each, of the sets drawn"
                                           : "are not shown to matter more";
  return Row("against random heads",
             absl::StrFormat(
                 "copy accuracy changes by %+.3f without the %s heads, by %+.3f on average without "
                 "random ones: the %s heads %s (%s by accuracy, %s by NLL)",
                 check.delta_top(), ablated, check.delta_rand(), ablated, matter, PText(p), PText(p_nll)));
}

std::string Text(const std::string& label, const v1::Causal& causal) {
  const std::string heads =
      absl::StrJoin(causal.top_heads(), ", ", [](std::string* out, const v1::HeadRef& head) {
        absl::StrAppend(out, head.layer(), ".", head.head());
      });
  const v1::AblationDelta& delta = causal.top_k().delta();
  return absl::StrCat(label, ": heads ", heads, " ablated (", causal.ablation(), "), chosen by ",
                      causal.chosen_by(), " on ", Counted(causal.selection_prompts_size(), "prompt"),
                      ", measured on ", causal.evaluation_prompts_size(), "\n",
                      DeltaRow("delta of copy_accuracy", delta.has_copy_accuracy(), delta.copy_accuracy()),
                      DeltaRow("delta of copy_nll", delta.has_copy_nll(), delta.copy_nll()),
                      DeltaRow("delta of other_nll", delta.has_other_nll(), delta.other_nll()),
                      DeltaRow("delta of control_nll", delta.has_control_nll(), delta.control_nll()),
                      ControlRow("matched_k, copy_nll", causal.matched_k(), causal.top_heads_size()),
                      ControlRow("random_k, copy_nll", causal.random_k(), causal.top_heads_size()),
                      Row("primary test", causal.matched_k().draws().empty() ? "random_k by copy_nll"
                                                                             : "matched_k by copy_nll"),
                      CheckRow(causal));
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
         Row("last minus first", absl::StrFormat("%+.3f of the depth%s", lags.centroid_difference().value(),
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

// The strongest attentions to others than the first tokens, which take what a head has no use for.
std::vector<Attention> StrongestBeyond(uint32_t n_first, const FloatArray& attention) {
  const auto n_tokens = static_cast<uint32_t>(attention.shape[0]);
  std::vector<Attention> cells;
  for (uint32_t query = 0; query < n_tokens; ++query) {
    for (uint32_t key = n_first; key <= query; ++key)
      cells.push_back({query, key, attention.values[size_t{query} * n_tokens + key]});
  }
  const auto end = cells.begin() + std::min<ptrdiff_t>(kAttentionsShown, std::ssize(cells));
  std::partial_sort(cells.begin(), end, cells.end(), [](const Attention& a, const Attention& b) {
    return std::tuple(-a.value, a.query, a.key) < std::tuple(-b.value, b.query, b.key);
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
  std::set<std::pair<uint32_t, uint32_t>> read;
  for (const v1::PatternTarget& target : pattern.targets()) read.emplace(target.query(), target.key());
  std::string text =
      Row("what the score reads", TargetsText(pattern, attention)) +
      Row("to the first token", absl::StrFormat("%.3f on average", MeanOnFirst(n_first, attention)));
  const char* label = "strongest beyond it";
  for (const Attention& cell : StrongestBeyond(n_first, attention)) {
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

// The margin of equivalence: "+-0.250, one layer of demo-small". Empty where a model is missing.
std::string MarginText(const SavedRun& run, const v1::ModelPair& pair) {
  const SavedModel* a = FindModel(run, pair.model_a());
  const SavedModel* b = FindModel(run, pair.model_b());
  if (a == nullptr || b == nullptr) return "";
  const SavedModel& smaller = b->use.n_layers() < a->use.n_layers() ? *b : *a;
  const bool same = a->use.n_layers() == b->use.n_layers();
  return absl::StrFormat("+-%.3f, one layer of %s", 1.0 / smaller.use.n_layers(),
                         same ? "either" : Printable(smaller.label));
}

std::string DifferenceRow(const char* label, const v1::PairedDifference& difference,
                          const std::string& margin) {
  std::string value =
      absl::StrFormat("%+.3f%s", difference.difference(), OptionalIntervalInWords(difference));
  if (difference.has_equivalent() && difference.equivalent()) {
    absl::StrAppend(&value, ", equivalent (90 % interval within ", margin, ")");
  } else if (difference.has_equivalent()) {
    absl::StrAppend(&value, ", not shown to be equivalent within ", margin);
  }
  return Row(label, value);
}

std::string PairText(const SavedRun& run, const v1::ModelPair& pair) {
  const std::string models =
      absl::StrCat(SummaryLabelOf(run, pair.model_b()), " - ", SummaryLabelOf(run, pair.model_a()), ":");
  if (!pair.has_centroid_rel()) return absl::StrCat(models, " a profile is 0 everywhere\n");
  const std::string margin = MarginText(run, pair);
  return absl::StrCat(
      models, "\n", DifferenceRow("peak depth", pair.peak_depth(), margin),
      DifferenceRow("centroid (relative)", pair.centroid_rel(), margin),
      DifferenceRow("bandwidth (interpolated)", pair.bandwidth_interpolated(), margin),
      pair.has_overlap() ? Row("overlap of curves", absl::StrFormat("%.3f", pair.overlap())) : "");
}

std::string ModelText(const SavedModel& model) {
  const std::string label = Printable(model.label);
  if (model.causal.has_value()) return Text(label, *model.causal);
  if (model.lag_buckets.has_value()) return Text(label, *model.lag_buckets);
  if (model.pattern.has_value()) return Text(label, *model.pattern, model.attention);
  std::string text;
  if (model.profile.has_value()) text += Text(label, *model.profile);
  if (model.nulls.has_value()) text += Text(label, *model.nulls);
  return text;
}

}  // namespace

// Whether its prompts were resampled. (What an ablation resamples is half of them.)
bool HasIntervals(const SavedRun& run) {
  return std::any_of(run.models.begin(), run.models.end(), [](const SavedModel& model) {
    return (model.profile && model.profile->has_bootstrap()) ||
           (model.causal && model.causal->resamples() > 0);
  });
}

std::string SummaryText(const SavedRun& run, const std::string& saved) {
  std::string text;
  if (run.cross_size.has_value()) {
    text = PeakTable(run);
    for (const v1::ModelPair& pair : run.cross_size->pairs()) text += PairText(run, pair);
  } else {
    for (const SavedModel& model : run.models) text += ModelText(model);
  }
  for (const std::string& warning : run.metadata.warnings()) text += Row("warning", Printable(warning));
  if (run.metadata.n_prompts() > 0 && run.metadata.n_prompts() < kFewPrompts && HasIntervals(run)) {
    text += Row("warning", absl::StrCat("few prompts: intervals of fewer than ", kFewPrompts,
                                        " miss the true value more often than 1 time in 20"));
  }
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
