#include "client/report/method.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/kinds.h"
#include "client/report/run_settings.h"
#include "client/text.h"

namespace induct::client {
namespace {

// The definitions that the runs' numbers follow, shortly; docs/method.md has them whole.
List Definitions(const std::vector<SavedRun>& runs) {
  List list;
  list.items.push_back(
      "A copy operation is a position whose token stood before in the same prompt (its antecedent), at a lag "
      "of at "
      "least min_lag: exactly once (antecedents first), at least once, the latest counting (nearest), or at "
      "least once, "
      "all counting together (all). The induction score of a head is its mean attention from that position "
      "to the one "
      "after the antecedent; duplicate is that to the antecedent itself. previous is the mean attention from "
      "a position "
      "without any antecedent to the one before it.");
  for (const AnalysisKind& kind : AnalysisKinds()) {
    const bool there = std::any_of(runs.begin(), runs.end(), [&](const SavedRun& run) {
      return KindOfCommand(run.metadata.command()) == &kind;
    });
    if (!there) continue;
    for (const std::string& definition : kind.definitions) {
      if (std::find(list.items.begin(), list.items.end(), definition) == list.items.end())
        list.items.push_back(definition);
    }
  }
  return list;
}

std::string Seconds(const v1::RunMetadata& metadata) {
  if (!metadata.has_seconds()) return "-";
  const v1::JobSeconds& seconds = metadata.seconds();
  return absl::StrFormat("%.2f, %.2f, %.2f", seconds.queued(), seconds.preparing(), seconds.running());
}

std::string FolderOf(const SavedRun& run) {
  const std::string folder = std::filesystem::path(run.path).lexically_normal().filename().string();
  return folder.empty() ? run.path : folder;
}

Table Runs(const std::vector<SavedRun>& runs) {
  Table table{.header = {"run", "prompts", "seed", "seconds queued, preparing, running", "started"}};
  for (const SavedRun& run : runs) {
    const v1::RunMetadata& metadata = run.metadata;
    table.rows.push_back({FolderOf(run), absl::StrCat(Grouped(metadata.n_prompts()), ": ", PromptsText(run)),
                          absl::StrCat(metadata.seed()), Seconds(metadata), metadata.created()});
  }
  return table;
}

// What the runs ran on, each once.
Paragraph Hardware(const std::vector<SavedRun>& runs) {
  std::set<std::string> seen;
  Paragraph paragraph;
  for (const SavedRun& run : runs) {
    const v1::RunMetadata& metadata = run.metadata;
    const std::string text = absl::StrCat(
        "device ", metadata.device(), ", induct-server ", metadata.server().version(), " with LibTorch ",
        metadata.server().libtorch(), ", induct-client ", metadata.client_version());
    if (seen.insert(text).second) absl::StrAppend(&paragraph.text, seen.size() == 1 ? "Run on " : "; ", text);
  }
  paragraph.text += ".";
  return paragraph;
}

Table SettingsTable(const std::vector<SavedRun>& runs) {
  std::vector<std::string> names;
  for (const SavedRun& run : runs) names.push_back(FolderOf(run));
  Table table{.header = {"setting", "value"}};
  for (const SettingUsed& setting : SettingsUsed(runs, names))
    table.rows.push_back({setting.name, setting.value});
  return table;
}

}  // namespace

Section ModelsSection(const std::vector<SavedRun>& runs) {
  Table table{.header = {"model", "source", "architecture", "layers x heads", "parameters", "dtype",
                         "checkpoint SHA-256"}};
  std::set<std::vector<std::string>> seen;
  for (const SavedRun& run : runs) {
    for (const SavedModel& model : run.models) {
      const v1::ModelUse& use = model.use;
      const std::vector<std::string> row = {
          model.label,
          absl::StrCat(use.source(), use.revision().empty() ? "" : " at ", use.revision()),
          use.architecture(),
          absl::StrCat(use.n_layers(), " x ", use.n_heads()),
          Grouped(AsCount(use.n_parameters())),
          absl::StrCat(use.dtype(), use.streamed() ? ", streamed" : ""),
          use.checkpoint_sha256()};
      if (seen.insert(row).second) table.rows.push_back(row);
    }
  }
  Section section{.title = "Models"};
  if (table.rows.empty()) {
    section.blocks.push_back(Paragraph{"No run got as far as to name its model."});
  } else {
    section.blocks.push_back(std::move(table));
  }
  return section;
}

Section MethodSection(const std::vector<SavedRun>& runs) {
  Section section{.title = "Method"};
  section.blocks.push_back(Definitions(runs));
  if (!runs.empty()) section.blocks.push_back(Hardware(runs));
  section.blocks.push_back(Runs(runs));
  section.blocks.push_back(SettingsTable(runs));
  section.blocks.push_back(
      Paragraph{"Each run directory holds config.yaml, every setting as used, whose first line is the "
                "command that repeats the run "
                "(RUN stands for the directory), and the prompts as they were tokenised. The same build, "
                "device and dtype give the "
                "same bytes."});
  return section;
}

}  // namespace induct::client
