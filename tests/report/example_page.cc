// Prints a page with every kind of block and chart, and with texts that would like to be markup or code.
// report_page_test.py opens it in a browser and knows the values.
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "client/report/document.h"
#include "client/report/html.h"

namespace {

using induct::client::Block;
using induct::client::Chart;
using induct::client::Document;
using nlohmann::json;

// Each part tries another way out of being text. `place` tells which one succeeded.
std::string Hostile(const std::string& place) {
  const std::string run = "window.hacked='" + place + "'";
  return "</script><script>" + run + "</script><img src=x onerror=\"" + run + "\">\"'`${" + run +
         "} \x1b[31m\x01 \u2028 " + "{{" + run + "}} \\u003c datum.x &lt; " + place;
}

// Values between 0 and 1 that look measured; `seed` makes them others.
double Value(int i, int seed) { return 0.5 + 0.5 * std::sin(12.9898 * i + 78.233 * seed + 0.01 * i * i); }

json Values(int n, int seed, double scale = 1, double shift = 0) {
  json values = json::array();
  for (int i = 0; i < n; ++i)
    values.push_back(std::round(1e6 * (scale * std::pow(Value(i, seed), 3) + shift)) / 1e6);
  return values;
}

json Shifted(const json& values, double by) {
  json shifted = json::array();
  for (const json& value : values) shifted.push_back(value.get<double>() + by);
  return shifted;
}

Chart MakeChart(const std::string& kind, const std::string& caption, json data) {
  return {.kind = kind, .caption = caption, .data = std::move(data)};
}

// `full`: with every optional part.
Chart Heads(const std::string& label, int n_layers, int n_heads, bool full) {
  const json scores = Values(n_layers * n_heads, 1);
  json data = {{"label", label},
               {"score", "induction"},
               {"n_layers", n_layers},
               {"n_heads", n_heads},
               {"scores", scores}};
  if (full) {
    data["ci_low"] = Shifted(scores, -0.05);
    data["ci_high"] = Shifted(scores, 0.05);
    data["null"] = "lag-matched";
    data["effect"] = Shifted(scores, -0.2);
    data["p"] = Values(n_layers * n_heads, 2, 0.4, 0.0005);
  }
  return MakeChart("heads", "The induction score of every head of " + label + ". Each row is a layer.", data);
}

Chart Effects(const std::string& label, int n_layers, int n_heads) {
  const json observed = Values(n_layers * n_heads, 1), effect = Shifted(observed, -0.3);
  return MakeChart("effects", "Scores of " + label + " beyond the null; dots: p <= 0.05.",
                   {{"title", label + ": induction score beyond the lag-matched null"},
                    {"observed_label", "observed score"},
                    {"null_label", "mean of the lag-matched null"},
                    {"n_layers", n_layers},
                    {"n_heads", n_heads},
                    {"effect", effect},
                    {"observed", observed},
                    {"null_mean", Values(n_layers * n_heads, 3, 0, 0.3)},
                    {"ci_low", Shifted(effect, -0.04)},
                    {"ci_high", Shifted(effect, 0.04)},
                    {"p", Values(n_layers * n_heads, 4, 0.5, 0.001)}});
}

json Curve(const std::string& label, const char* values_name, int n_layers, int seed, bool full) {
  const json values = Values(n_layers, seed, 0.6, 0.1);
  json curve = {{"label", label}, {values_name, values}};
  if (!full) return curve;
  curve["ci_low"] = Shifted(values, -0.06);
  curve["ci_high"] = Shifted(values, 0.07);
  curve["peak_layer"] = n_layers / 2;
  curve["centroid_rel"] = 0.53;
  return curve;
}

Chart ProfileCurve(const std::string& label, int n_layers, bool full) {
  json data = Curve(label, "per_layer", n_layers, 5, full);
  data["score"] = "induction";
  data["value_label"] = "mean score of kept heads, " + label;
  return MakeChart("curve", "The induction profile of " + label + " over layers.", data);
}

Chart Overlay(const std::string& label, int n_curves) {
  json curves = json::array();
  for (int c = 0; c < n_curves; ++c)
    curves.push_back(Curve(label + " " + std::to_string(c), "values", 6 + 6 * c, 6 + c, c != 1));
  return MakeChart("overlay", "The profiles on relative depth; diamonds mark the peaks.",
                   {{"value_label", "induction score of kept heads, " + label}, {"curves", curves}});
}

Chart Sizes(const std::string& label, int n_points) {
  json points = json::array();
  for (int i = 0; i < n_points; ++i) {
    json point = {{"label", label + " " + std::to_string(i)},
                  {"n_parameters", static_cast<int64_t>(1.2e7 * std::pow(4, i))},
                  {"peak_depth", 0.4 + 0.05 * i},
                  {"centroid", 0.55 - 0.02 * i}};
    if (i != 1)
      point.update({{"peak_low", 0.3},
                    {"peak_high", 0.5 + 0.05 * i},
                    {"centroid_low", 0.5 - 0.02 * i},
                    {"centroid_high", 0.6}});
    points.push_back(point);
  }
  return MakeChart("sizes", "Relative depth of peaks and centroids by number of parameters.",
                   {{"points", points}});
}

Chart Density(const std::string& label, int n_layers) {
  return MakeChart("density", "Share of high heads in each layer of " + label + ".",
                   {{"label", label},
                    {"observed", Values(n_layers, 7)},
                    {"null_mean", Values(n_layers, 8, 0, 0.1)},
                    {"band_low", Values(n_layers, 8, 0, 0.02)},
                    {"band_high", Values(n_layers, 8, 0.02, 0.25)},
                    {"p_adjusted", Values(n_layers, 9, 0.6)},
                    {"max_quantile", 0.375}});
}

json Control(const std::string& name, int seed, double scale, bool full) {
  json control = {{"name", name}, {"draws", Values(12, seed, scale)}};
  if (full) control.update({{"mean", scale * 0.3}, {"p", 0.0769}});
  return control;
}

Chart Ablation(const std::string& label) {
  json metrics = json::array();
  const char* names[] = {"copy accuracy", "copy NLL", "other NLL"};
  const char* units[] = {"share of predictable positions", "nats", "nats"};
  const double tops[] = {-0.42, 2.31, 0.00004};
  for (int m = 0; m < 3; ++m) {
    json top = {{"value", tops[m]}};
    if (m < 2) top.update({{"ci_low", tops[m] * 1.2}, {"ci_high", tops[m] * 0.8}});
    metrics.push_back(
        {{"name", names[m]},
         {"unit", units[m]},
         {"baseline", 0.9 + m},
         {"top", top},
         {"controls", json::array({Control("random heads", 10 + m, tops[m] * 0.2, true),
                                   Control(m == 2 ? label : "same layers", 20 + m, tops[m] * 0.3, m < 2)})}});
  }
  return MakeChart("ablation", "What becomes of " + label + " without the chosen heads.",
                   {{"label", label}, {"ablated", "chosen heads"}, {"metrics", metrics}});
}

Chart Pattern(const std::string& label, const std::string& token, int n_tokens) {
  json tokens = json::array(), probabilities = json::array(), targets = json::array();
  for (int query = 0; query < n_tokens; ++query) {
    tokens.push_back(token + std::to_string(query % (n_tokens / 2)));
    for (int key = 0; key < n_tokens; ++key)
      probabilities.push_back(key > query ? 0 : key == query - n_tokens / 2 + 1 ? 0.7 : 0.3 / (query + 1));
    if (query >= n_tokens / 2) targets.push_back(json::array({query, query - n_tokens / 2 + 1}));
  }
  return MakeChart("pattern", "Attention of one head of " + label + ". Each row is a query.",
                   {{"label", label},
                    {"layer", 2},
                    {"head", 5},
                    {"tokens", tokens},
                    {"probabilities", probabilities},
                    {"targets", targets}});
}

std::vector<Block> Texts(const std::string& text) {
  return {induct::client::Paragraph{"A paragraph: " + text},
          induct::client::List{{"An item: " + text, "Another item."}},
          induct::client::Table{
              .header = {"model " + text, "layers", "score", "remark"},
              .rows = {{text, "12", "0.412 [0.391, 0.433]", "-"}, {"demo-large", "1,204", "-0.03", "none"}}}};
}

std::vector<Block> ChartsOfEveryKind(const std::string& label) {
  return {Heads(label, 6, 8, true), ProfileCurve(label, 12, true), Overlay(label, 3),
          Sizes(label, 4),          Effects(label, 6, 8),          Density(label, 12),
          Ablation(label),          Pattern(label, label, 12)};
}

Document ExampleDocument() {
  Document document{.title = "Induction heads of " + Hostile("title")};
  document.sections.push_back({.title = "Results", .blocks = Texts("plain text.")});
  document.sections.push_back(
      {.title = "Every kind of chart", .level = 3, .blocks = ChartsOfEveryKind("demo-large")});
  document.sections.push_back({.title = "Hostile " + Hostile("heading"), .blocks = Texts(Hostile("text"))});
  document.sections.push_back(
      {.title = "Hostile charts", .level = 3, .blocks = ChartsOfEveryKind(Hostile("label"))});
  document.sections.push_back(
      {.title = "Sizes at the edges",
       .blocks = {Heads("one-head", 1, 1, false), Heads("large", 48, 64, true),
                  ProfileCurve("one-layer", 1, true), ProfileCurve("no-optional-part", 48, false),
                  Overlay("many", 9), Sizes("one", 1), Effects("large", 48, 64), Density("one-layer", 1),
                  Pattern("long", "token ", 110)}});
  return document;
}

}  // namespace

int main() {
  std::cout << induct::client::HtmlPage(ExampleDocument());
  return std::cout.good() ? 0 : 1;
}
