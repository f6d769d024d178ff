#include "client/figures/peak_depths.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/script.h"
#include "client/figures/spread.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr char kName[] = "peak_depth_parameters";
constexpr size_t kPeakLabelCharacters = 30;
constexpr int kMinPlotWidth = 1150;  // pixels between the ends of the x axis
constexpr int kPlotHeight = 700;     // of relative depth 0 to 1; the names stand above
constexpr int kPlotMargin = 250;     // beside the plot
constexpr int kBelowPlot = 280;      // axis, its name and the key
constexpr int kModelPixels = 52;     // that a model needs: a name's height, or its two points
constexpr double kMinPad = 0.3;      // powers of ten beside the smallest and largest model

struct Model {
  const SavedModel* saved;
  double log_parameters;
  double x;  // where it is drawn: beside models of the same size
};

bool CanBeShown(const SavedModel& model) {
  return model.Get<v1::Profile>()->has_peak_depth() && std::isfinite(model.use.n_parameters()) &&
         model.use.n_parameters() >= 1;
}

// The axis in powers of ten.
struct Axis {
  double low, high;
  int pixels;
};

Axis PlaceModels(std::vector<Model>* models) {
  std::stable_sort(models->begin(), models->end(),
                   [](const Model& a, const Model& b) { return a.log_parameters < b.log_parameters; });
  const int pixels = std::max(kMinPlotWidth, kModelPixels * static_cast<int>(models->size() + 2));
  std::vector<double> wanted;
  for (const Model& model : *models) wanted.push_back(model.log_parameters);
  const double span = std::max(wanted.back() - wanted.front(), 0.5);
  const double gap = kModelPixels * (span + 2 * kMinPad) / pixels;
  const std::vector<double> placed = Spread(wanted, gap);
  for (size_t i = 0; i < placed.size(); ++i) (*models)[i].x = placed[i];
  const double pad = std::max(kMinPad, 0.05 * span);
  return {placed.front() - pad, placed.back() + pad, pixels};
}

std::string CsvInterval(bool is_there, const v1::BootstrapEstimate& estimate) {
  return is_there ? absl::StrFormat("%.9g,%.9g", estimate.ci_low(), estimate.ci_high()) : ",";
}

std::string DepthCsv(const std::vector<Model>& models) {
  std::string csv =
      "model,n_parameters,x,peak_depth,peak_ci_low,peak_ci_high,centroid_rel,centroid_ci_low,centroid_ci_"
      "high\n";
  for (const Model& model : models) {
    const v1::Profile& profile = *model.saved->Get<v1::Profile>();
    const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
    absl::StrAppendFormat(&csv, "%s,%.15g,%.9g,%.9g,%s,", model.saved->use.name(),
                          model.saved->use.n_parameters(), std::pow(10, model.x), profile.peak_depth(),
                          CsvInterval(bootstrap.has_peak_depth(), bootstrap.peak_depth()));
    if (profile.has_centroid_rel()) absl::StrAppendFormat(&csv, "%.9g", profile.centroid_rel());
    absl::StrAppend(&csv, ",", CsvInterval(bootstrap.has_centroid_rel(), bootstrap.centroid_rel()), "\n");
  }
  return csv;
}

// "70 M", "1.5 B".
std::string SizeText(double parameters) {
  constexpr struct {
    double least;
    const char* letter;
  } kUnits[] = {{1e12, " T"}, {1e9, " B"}, {1e6, " M"}, {1e3, " k"}, {0, ""}};
  for (const auto& [least, letter] : kUnits) {
    if (parameters >= least) return absl::StrFormat("%.3g%s", parameters / std::max(least, 1.0), letter);
  }
  return "";
}

std::string SizeTicks(const Axis& axis) {
  const std::vector<double> digits =
      axis.high - axis.low > 3 ? std::vector<double>{1} : std::vector<double>{1, 2, 5};
  std::vector<std::string> ticks;
  for (int power = static_cast<int>(std::floor(axis.low)); power <= axis.high; ++power) {
    for (const double digit : digits) {
      const double parameters = digit * std::pow(10, power);
      if (std::log10(parameters) < axis.low || std::log10(parameters) > axis.high) continue;
      ticks.push_back(absl::StrFormat("'%s' %.9g", SizeText(parameters), parameters));
    }
  }
  return absl::StrJoin(ticks, ", ");
}

size_t LongestLabel(const std::vector<Model>& models) {
  size_t longest = 0;
  for (const Model& model : models)
    longest = std::max(longest, DisplayWidth(Shortened(model.saved->label, kPeakLabelCharacters)));
  return longest;
}

// Each model's name above the plot, and a thin line down to its points.
std::string Names(const std::vector<Model>& models) {
  std::string labels = "unset label\nunset arrow\n";
  for (const Model& model : models) {
    const double x = std::pow(10, model.x);
    absl::StrAppendFormat(&labels, "set label %s at %.9g, graph 1.03 rotate by 90 left font small\n",
                          GnuplotString(Shortened(model.saved->label, kPeakLabelCharacters)), x);
    absl::StrAppendFormat(&labels,
                          "set arrow from %.9g,0 to %.9g, graph 1.02 nohead lw 0.5 dt 3 lc rgb '%s' back\n",
                          x, x, kGrey);
  }
  return labels;
}

// Points and intervals of one statistic, in the CSV's columns from `column` on, a little aside of the model's
// middle.
std::string Series(int column, double factor, int point, const char* colour, const char* title) {
  const std::string data = absl::StrFormat("'%s.csv' skip 1 using ($3*%.6g):%d", kName, factor, column);
  return absl::StrFormat(
      "%s:%d:%d with yerrorbars pt 0 lw 1.2 lc rgb '%s' notitle, \\\n  %s with points pt %d ps 1.4*unit lc "
      "rgb '%s' "
      "title '%s'",
      data, column + 1, column + 2, colour, data, point, colour, title);
}

std::string DepthCaption(const std::vector<Model>& models, const std::vector<std::string>& left_out) {
  const bool intervals = std::any_of(models.begin(), models.end(), [](const Model& model) {
    return model.saved->Get<v1::Profile>()->has_bootstrap();
  });
  const bool moved = std::any_of(models.begin(), models.end(), [](const Model& model) {
    return std::abs(model.x - model.log_parameters) > 1e-9;
  });
  return absl::StrCat(
      models.front().saved->Get<v1::Profile>()->score(), " score",
      intervals ? "; bars: 95 % intervals (bootstrap over prompts)" : "",
      moved ? "; models of about the same size stand side by side" : "",
      left_out.empty() ? ""
                       : absl::StrCat("; without a peak or a known size: ", absl::StrJoin(left_out, ", ")));
}

}  // namespace

bool HasPeakDepths(const SavedRun& run) {
  const auto n_models = std::count_if(run.models.begin(), run.models.end(), [](const SavedModel& model) {
    return model.Get<v1::Profile>() != nullptr && CanBeShown(model);
  });
  return n_models >= (run.metadata.command() == "multisize" ? 2 : 3);
}

std::optional<Figure> PeakDepthsFigure(const SavedRun& run) {
  if (!HasPeakDepths(run)) return std::nullopt;
  std::vector<Model> models;
  std::vector<std::string> left_out;
  for (const SavedModel& model : run.models) {
    if (model.Get<v1::Profile>() == nullptr) continue;
    if (CanBeShown(model)) {
      models.push_back({&model, std::log10(model.use.n_parameters()), 0});
    } else {
      left_out.push_back(Shortened(model.label, kPeakLabelCharacters));
    }
  }
  const Axis axis = PlaceModels(&models);
  const int name_pixels = kSmallCharacterPixels * static_cast<int>(LongestLabel(models)) + 50;
  Figure figure{.name = kName, .csv = DepthCsv(models), .width = axis.pixels + kPlotMargin};
  figure.height = kPlotHeight + name_pixels + kBelowPlot + kSmallLinePixels * 5;
  figure.title = {"depth of induction and size of model", DepthCaption(models, left_out)};
  figure.settings = absl::StrCat("set xlabel 'parameters'\nset ylabel 'relative depth'\nset logscale x\n",
                                 absl::StrFormat("set xrange [%.9g:%.9g]\nset yrange [0:1]\n",
                                                 std::pow(10, axis.low), std::pow(10, axis.high)),
                                 "set xtics out nomirror (", SizeTicks(axis),
                                 ")\nset ytics out nomirror 0,0.2,1\nset border 3\n",
                                 "set grid ytics lc rgb '#cccccc' lw 0.5\n");
  const double aside = std::pow(10, 9 * (axis.high - axis.low) / axis.pixels);
  // The names need room between the plot and the heading.
  const double names = static_cast<double>(name_pixels) / figure.height;
  figure.plot = absl::StrFormat(
      "set key bmargin center horizontal Left reverse samplen 1.5 height 1 font small\n"
      "set tmargin at screen below - %.4g\nset title offset screen 0, %.4g\n",
      names, names - static_cast<double>(kSmallLinePixels) / figure.height);
  absl::StrAppend(&figure.plot, Names(models), "plot ", Series(4, 1 / aside, 7, kVermillion, "peak"),
                  ", \\\n  ", Series(7, aside, 5, kGreen, "centroid"), "\n");
  return figure;
}

}  // namespace induct::client
