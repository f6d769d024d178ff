// How often intervals hold the truth, and tests reject a true null and find what is there, over many data
// sets that are drawn: the tables of docs/method.md.
//
//   build/release/bin/simulations [data sets a cell = 2000] [table = all]
#include "tests/analysis/simulations.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace induct::analysis {
namespace {

using CountCell = std::function<Tally(const Design& design, uint64_t n_data_sets)>;

struct Column {
  std::string name;
  Design design;
  uint64_t share = 1;  // of the data sets: one in so many
};

struct Table {
  std::string name;
  CountCell count;
  std::vector<Column> columns;
};

constexpr Skew kSkews[] = {Skew::kNone, Skew::kRight, Skew::kLeft};
constexpr const char* kSkewNames[] = {"normal", "right-skewed", "left-skewed"};

// What takes the time is resamples of many prompts: 399 suffice for a p at 0.05.
std::vector<Column> BySize(Skew skew) {
  std::vector<Column> columns;
  for (const uint32_t n_prompts : {20u, 60u, 400u})
    columns.push_back({std::to_string(n_prompts) + " prompts", {.skew = skew, .n_prompts = n_prompts}});
  return columns;
}

// Quantiles need more of them.
std::vector<Column> ForIntervals(std::vector<Column> columns) {
  for (Column& column : columns) {
    column.design.resamples = 599;
    if (column.design.n_prompts > 60) column.share = 4;
  }
  return columns;
}

std::vector<Column> BySkew(uint32_t n_prompts = 60) {
  std::vector<Column> columns;
  for (size_t i = 0; i < std::size(kSkews); ++i)
    columns.push_back({kSkewNames[i], {.skew = kSkews[i], .n_prompts = n_prompts}});
  return columns;
}

// Lags from 4 to 33 at most, evenly.
std::vector<uint32_t> Lags(uint32_t n_lags) {
  std::vector<uint32_t> lags;
  for (uint32_t i = 0; i < n_lags; ++i) lags.push_back(4 + i * std::max(1u, 28 / n_lags));
  return lags;
}

// 60 prompts, and 100 in two strata.
std::vector<Column> ByStratum(Skew skew) {
  std::vector<Column> columns;
  for (const uint32_t of_stratum : {1u, 2u, 3u, 6u, 10u}) {
    columns.push_back(
        {std::to_string(of_stratum), {.skew = skew, .n_prompts = 60, .lags = Lags(60 / of_stratum / 2)}});
  }
  columns.push_back({"50", {.skew = skew, .n_prompts = 100, .lags = Lags(1)}});
  return columns;
}

// The mean of all heads, for which none is chosen.
std::vector<Column> OfAllHeads(std::vector<Column> columns) {
  for (Column& column : columns) column.design.aggregation = Aggregation::kMean;
  return columns;
}

std::vector<Table> AllTables() {
  std::vector<Table> tables = {{"causal, 60 prompts", CountCausal, BySkew()},
                               {"causal, 120 prompts", CountCausal, BySkew(120)},
                               {"permutation, 60 prompts", CountPermutation, BySkew()},
                               {"power, 60 prompts", CountPower, BySkew()},
                               {"equivalence at the margin", CountEquivalence, BySize(Skew::kRight)}};
  for (size_t i = 0; i < std::size(kSkews); ++i)
    tables.push_back({std::string("no effect, ") + kSkewNames[i], CountNoEffect, BySize(kSkews[i])});
  tables.push_back({"no effect, left-skewed, prompts a stratum", CountNoEffect, ByStratum(Skew::kLeft)});
  tables.push_back({"intervals, right-skewed", CountIntervals, ForIntervals(BySize(Skew::kRight))});
  tables.push_back({"intervals of all heads' mean, right-skewed", CountIntervals,
                    OfAllHeads(ForIntervals(BySize(Skew::kRight)))});
  tables.push_back(
      {"intervals, right-skewed, prompts a stratum", CountIntervals, ForIntervals(ByStratum(Skew::kRight))});
  tables.push_back({"intervals, normal", CountIntervals, ForIntervals(BySize(Skew::kNone))});
  for (size_t i = 0; i < std::size(kSkews); ++i)
    tables.push_back({std::string("contrast, ") + kSkewNames[i], CountContrast, BySize(kSkews[i])});
  tables.push_back({"intervals of heads that are all alike, left-skewed", CountIntervalsWithoutEffect,
                    ForIntervals(BySize(Skew::kLeft))});
  return tables;
}

void Print(const Table& table, uint64_t n_data_sets) {
  std::vector<Tally> cells;
  std::string head = "| " + table.name, rule = "|---";
  for (const Column& column : table.columns) {
    const uint64_t n = std::max<uint64_t>(n_data_sets / column.share, 1);
    cells.push_back(table.count(column.design, n));
    head += " | " + column.name + (column.share > 1 ? " (" + std::to_string(n) + " data sets)" : "");
    rule += "|---";
  }
  std::printf("%s |\n%s|\n", head.c_str(), rule.c_str());
  Tally all;
  for (const Tally& cell : cells) all.Add(cell);
  for (const std::string& name : all.names()) {
    std::printf("| %s", name.c_str());
    for (const Tally& cell : cells) {
      if (cell.Has(name))
        std::printf(" | %.3f", cell.Mean(name));
      else
        std::printf(" | -");
    }
    std::puts(" |");
  }
  std::puts("");
  std::fflush(stdout);
}

int Main(int argc, char** argv) {
  const int n_data_sets = argc > 1 ? std::atoi(argv[1]) : 2000;
  const std::string_view chosen = argc > 2 ? argv[2] : "";
  if (n_data_sets < 1) {
    std::fputs("the number of data sets must be at least 1\n", stderr);
    return 2;
  }
  std::printf("%d data sets a cell, 12 layers of 8 heads\n\n", n_data_sets);
  for (const Table& table : AllTables()) {
    if (table.name.starts_with(chosen)) Print(table, static_cast<uint64_t>(n_data_sets));
  }
  return 0;
}

}  // namespace
}  // namespace induct::analysis

int main(int argc, char** argv) { return induct::analysis::Main(argc, argv); }
