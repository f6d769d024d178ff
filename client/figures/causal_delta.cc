#include "client/figures/causal_delta.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/ablation_metrics.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/csv_blocks.h"
#include "client/figures/script.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

constexpr int kPanelWidth = 800;
// Around each panel, for what stands on its axes; below and above for two lines.
constexpr int kLeftPixels = 220;
constexpr int kLabelPixels = 195;  // between a panel and the middle of its label
constexpr int kRightPixels = 30;
constexpr int kBelowPixels = 130;
constexpr int kAbovePixels = 130;
constexpr int kDeltaHeight = 1100;

struct ControlDraws {
  const char* word;
  const char* label;
  const char* colour;
  const v1::ControlArm& arm;
};

std::array<ControlDraws, 2> Controls(const v1::Causal& causal) {
  return {{{"random_k", "random", kBlue, causal.random_k()},
           {"matched_k", "matched", kGreen, causal.matched_k()}}};
}

// Draws lie side by side around their bar's middle, so that equal ones do not hide each other.
double Sideways(int draw, int n_draws) { return n_draws < 2 ? 0 : 0.6 * draw / (n_draws - 1) - 0.3; }

// The line below a control's name: its p, with a star where that is the primary test's; or, since there is
// none then, what it lacks or how many heads its sets have where that is another number than the ablated
// one's.
std::string Below(const v1::Causal& causal, const AblationMetric& metric, const v1::ControlArm& arm) {
  const int n_heads = HeadsOfEachSet(arm);
  if (arm.draws().empty()) return "no draws";
  if (n_heads != causal.top_heads_size()) return Counted(static_cast<uint64_t>(n_heads), "head");
  if (metric.p == nullptr || !(arm.*metric.has_p)()) return "";
  const bool is_primary = metric.delta == &v1::AblationDelta::copy_nll && IsPrimary(causal, arm);
  return absl::StrCat(PText((arm.*metric.p)()), is_primary ? " *" : "");
}

// "random\np = 0.048" below a bar, or "random\n3 heads".
std::string TickLabel(const v1::Causal& causal, const AblationMetric& metric, const ControlDraws& control) {
  const std::string below = Below(causal, metric, control.arm);
  if (below.empty()) return GnuplotString(control.label);
  return absl::StrCat(GnuplotString(control.label), ".\"\\n\".", GnuplotString(below));
}

class Panel {
 public:
  Panel(const v1::Causal& causal, const AblationMetric& metric, CsvBlocks* csv)
      : causal_(causal), metric_(metric), csv_(csv) {}

  std::string Plot() {
    AddTop();
    std::string ticks =
        absl::StrCat(GnuplotString(absl::StrCat(ChosenWord(causal_), " ", causal_.top_heads_size())), " 1");
    int place = 2;
    for (const ControlDraws& control : Controls(causal_)) {
      absl::StrAppend(&ticks, ", ", TickLabel(causal_, metric_, control), " ", place);
      if (!control.arm.draws().empty()) AddControl(control, place);
      ++place;
    }
    const double margin = highest_ > lowest_ ? 0.06 * (highest_ - lowest_) : 1e-6;
    return absl::StrCat(
        "set title ", GnuplotString(metric_.title), ".\"\\n\".",
        GnuplotString(absl::StrFormat("unablated %.3g", (causal_.baseline().metrics().*metric_.baseline)())),
        "\nset label 1 ", GnuplotString(metric_.change), "\nset xtics (", ticks, ")\n",
        absl::StrFormat("set yrange [%.6g:%.6g]\n", lowest_ - margin, highest_ + margin), "plot ", bars_,
        dots_, "0 with lines lw 0.8 lc rgb '#000000' notitle\n");
  }

 private:
  void AddTop() {
    const v1::IntervalEstimate& delta = (causal_.top_k().delta().*metric_.delta)();
    const bool interval = delta.has_ci_low() && delta.has_ci_high();
    const std::string rows = interval ? absl::StrFormat("%s,top_k,,1,%.9g,%.9g,%.9g\n", metric_.word,
                                                        delta.value(), delta.ci_low(), delta.ci_high())
                                      : absl::StrFormat("%s,top_k,,1,%.9g,,\n", metric_.word, delta.value());
    const std::string data = csv_->Add(rows);
    AddBar(data, kVermillion);
    Hold(delta.value());
    if (!interval) return;
    Hold(delta.ci_low());
    Hold(delta.ci_high());
    absl::StrAppend(
        &dots_, data,
        "4:6:(0):($7-$6) with vectors heads size graph 0.02,90 lw 1.5 lc rgb '#000000' notitle, \\\n  ");
  }

  void AddControl(const ControlDraws& control, int place) {
    const double mean = (control.arm.delta_mean().*metric_.mean)();
    AddBar(csv_->Add(absl::StrFormat("%s,%s,mean,%d,%.9g,,\n", metric_.word, control.word, place, mean)),
           control.colour);
    Hold(mean);
    std::string rows;
    for (int draw = 0; draw < control.arm.draws_size(); ++draw) {
      const double value = (control.arm.draws(draw).delta().*metric_.delta)().value();
      Hold(value);
      absl::StrAppendFormat(&rows, "%s,%s,%d,%.4g,%.9g,,\n", metric_.word, control.word, draw,
                            place + Sideways(draw, control.arm.draws_size()), value);
    }
    absl::StrAppend(&dots_, csv_->Add(rows),
                    "4:5 with points pt 7 ps 0.55*unit lc rgb '#000000' notitle, \\\n  ");
  }

  void AddBar(const std::string& data, const char* colour) {
    absl::StrAppend(&bars_, data, "4:5 with boxes lc rgb '", colour,
                    "' fs solid 0.45 border notitle, \\\n  ");
  }

  void Hold(double value) {
    lowest_ = std::min(lowest_, value);
    highest_ = std::max(highest_, value);
  }

  const v1::Causal& causal_;
  const AblationMetric& metric_;
  CsvBlocks* const csv_;
  std::string bars_, dots_;
  double lowest_ = 0, highest_ = 0;  // of what the panel shows; the bars begin at 0
};

// Why a control has no draws, or fewer than were asked for.
std::string Reasons(const v1::Causal& causal) {
  std::vector<std::string> reasons;
  for (const ControlDraws& control : Controls(causal)) {
    if (!control.arm.reason().empty())
      reasons.push_back(absl::StrCat(control.label, ": ", control.arm.reason()));
  }
  return absl::StrJoin(reasons, "; ");
}

std::string DeltaCaption(const v1::Causal& causal) {
  std::vector<std::string> draws;
  for (const ControlDraws& control : Controls(causal))
    draws.push_back(absl::StrCat(Counted(static_cast<uint64_t>(control.arm.draws_size()), "draw"), " of ",
                                 control.label, " heads"));
  const int n = causal.top_heads_size();
  const std::string heads = n == 1 ? "head" : absl::StrCat(n, " heads");
  return absl::StrCat(causal.ablation(), " ablation of the ", ChosenWord(causal), " ", heads,
                      causal.chosen_by() == "user" ? "" : ", ranked on other prompts", "; ",
                      absl::StrJoin(draws, ", "), " (dots; bars: their means)",
                      causal.resamples() > 0 ? absl::StrCat("; ", ChosenWord(causal), ": 95 % interval") : "",
                      IsPrimary(causal, causal.matched_k()) || IsPrimary(causal, causal.random_k())
                          ? "; *: the primary test, other p are descriptive"
                          : "");
}

// Panels side by side below the heading, each with room for its axis on the left, whose label has a fixed
// place: a ylabel makes way for long numbers, out of the picture.
std::string Multiplot(int n_panels, int width) {
  const double left = static_cast<double>(kLeftPixels) / width;
  const double label = static_cast<double>(kLabelPixels) / width;
  const double right = 1 - static_cast<double>(kRightPixels) / width;
  return absl::StrFormat(
      "set xtics font small\nset ytics font small\n"
      "set label 1 at graph 0,0.5 offset screen %.4g,0 center rotate\n"
      "set multiplot layout 1,%d margins %.4g,%.4g,%.4g,below-%.4g spacing %.4g title heading font small\n",
      -label, n_panels, left, right, static_cast<double>(kBelowPixels) / kDeltaHeight,
      static_cast<double>(kAbovePixels) / kDeltaHeight, left);
}

}  // namespace

std::optional<Figure> CausalDeltaFigure(const SavedModel& model) {
  const v1::Causal& causal = *model.Get<v1::Causal>();
  const std::string name = absl::StrCat("causal_delta_", model.use.name());
  CsvBlocks csv(name, "metric,arm,draw,x,delta,ci_low,ci_high");
  std::string panels;
  int n_panels = 0;
  for (const AblationMetric& metric : kAblationMetrics) {
    if (!(causal.top_k().delta().*metric.has_delta)()) continue;
    absl::StrAppend(&panels, Panel(causal, metric, &csv).Plot());
    ++n_panels;
  }
  if (n_panels == 0) return std::nullopt;
  Figure figure{.name = name,
                .newest_name = "causal_delta",
                .csv = csv.text(),
                .width = std::max(n_panels, 2) * kPanelWidth,
                .height = kDeltaHeight};
  figure.title = {model.label, DeltaCaption(causal),
                  absl::StrCat(Counted(static_cast<uint64_t>(causal.evaluation_prompts_size()), "prompt"),
                               ", ", Operations(causal))};
  if (const std::string reasons = Reasons(causal); !reasons.empty()) figure.title.push_back(reasons);
  figure.settings =
      "unset key\nset xrange [0.4:3.6]\nset boxwidth 0.7\nset style fill solid 0.45\nset border 3\n"
      "set xtics out nomirror scale 0\nset ytics out nomirror\nset format y '%g'\n";
  figure.plot = absl::StrCat(Multiplot(n_panels, figure.width), panels, "unset multiplot\n");
  return figure;
}

}  // namespace induct::client
