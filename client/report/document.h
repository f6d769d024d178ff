// A report before it is a page: sections of paragraphs, lists, tables and charts. Made once of the saved
// runs; the HTML and the Markdown page are written from it, so that both say the same.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "client/saved_run.h"

namespace induct::client {

// All texts are UTF-8 and may hold any character: writers escape them, and show control characters.
struct Paragraph {
  std::string text;
};

struct List {
  std::vector<std::string> items;
};

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header
};

// What a chart draws. Numbers are rounded to 6 significant digits; optional arrays are absent, not null. [L,
// H] arrays are row-major lists.
//   heads     {label, score, n_layers, n_heads, scores [L, H], ci_low, ci_high [L, H], null: "lag-matched" or
//              "uniform", effect, p [L, H]}: all from ci_low on optional
//   curve     {label, score, value_label, per_layer [L], ci_low, ci_high [L], peak_layer, centroid_rel}: all
//   from
//              ci_low on optional
//   overlay   {value_label, curves: [{label, values [L of its own], ci_low, ci_high, peak_layer,
//   centroid_rel}]},
//              drawn at the relative depths (layer + 0.5) / L; likewise
//   sizes     {points: [{label, n_parameters, peak_depth, peak_low, peak_high, centroid, centroid_low,
//              centroid_high}]}: intervals optional; n_parameters on a log axis
//   effects   {title, observed_label, null_label, n_layers, n_heads, effect, observed, null_mean [L, H],
//   ci_low, ci_high, p
//              [L, H]}:
//              the last three optional; a diverging scale around 0, heads with p <= 0.05 are marked
//   density   {label, observed, null_mean, band_low, band_high, p_adjusted [L], max_quantile}: share of high
//   heads ablation  {label, metrics: [{name, unit, baseline, top: {value, ci_low, ci_high}, controls: [{name,
//   mean,
//              p, draws: [value]}]}]}: changes against the baseline; intervals, means and p optional
//   pattern   {label, layer, head, tokens [T], probabilities [T, T], targets: [[query, key]]}
struct Chart {
  std::string kind;
  std::string caption;  // one sentence: what it shows and how to read it
  nlohmann::json data;
  std::string image;  // path of the PNG that shows the same, from the report's folder; empty: there is none
};

using Block = std::variant<Paragraph, List, Table, Chart>;

struct Section {
  std::string title;
  int level = 2;  // of its heading: 2 or 3
  std::vector<Block> blocks;
};

struct Document {
  std::string title;
  std::vector<Section> sections;
};

// The report of `runs`, to be written into `folder`. `problems` are sentences about runs that could not be
// read. Deterministic.
Document MakeDocument(const std::vector<SavedRun>& runs, const std::vector<std::string>& problems,
                      const std::string& folder);

}  // namespace induct::client
