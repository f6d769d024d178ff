// induct-client profiles: a table of what saved runs found.
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "client/client_settings.h"
#include "client/commands/command.h"
#include "client/kinds.h"
#include "client/run_list.h"
#include "client/table.h"
#include "client/text.h"
#include "common/status.h"
#include "nlohmann/json.hpp"

namespace induct::client {
namespace {

// Keys in the order in which they were set; what a run does not have is absent.
using RunCells = nlohmann::ordered_json;

struct ProfilesOptions {
  std::string folder;
  std::string settings_file;
  bool json = false;
  bool csv = false;
};

// The columns of the CSV, which are the keys of the JSON.
constexpr std::array kColumns = {"created",
                                 "command",
                                 "state",
                                 "model",
                                 "revision",
                                 "score",
                                 "n_layers",
                                 "n_heads",
                                 "n_prompts",
                                 "peak_layer",
                                 "peak_depth",
                                 "peak_depth_ci_low",
                                 "peak_depth_ci_high",
                                 "centroid_rel",
                                 "centroid_rel_ci_low",
                                 "centroid_rel_ci_high",
                                 "bandwidth",
                                 "bandwidth_interpolated",
                                 "bandwidth_interpolated_ci_low",
                                 "bandwidth_interpolated_ci_high",
                                 "run"};

void SetEstimate(const std::string& key, bool has_value, double value, bool has_interval,
                 const v1::BootstrapEstimate& interval, RunCells* row) {
  if (!has_value) return;
  (*row)[key] = value;
  if (!has_interval) return;
  (*row)[key + "_ci_low"] = interval.ci_low();
  (*row)[key + "_ci_high"] = interval.ci_high();
}

void SetProfile(const v1::Profile& profile, RunCells* row) {
  const v1::ProfileBootstrap& bootstrap = profile.bootstrap();
  (*row)["score"] = profile.score();
  (*row)["n_layers"] = profile.n_layers();
  (*row)["n_heads"] = profile.n_heads();
  (*row)["n_prompts"] = profile.n_prompts();
  if (profile.has_peak_layer()) (*row)["peak_layer"] = profile.peak_layer();
  SetEstimate("peak_depth", profile.has_peak_depth(), profile.peak_depth(), bootstrap.has_peak_depth(),
              bootstrap.peak_depth(), row);
  SetEstimate("centroid_rel", profile.has_centroid_rel(), profile.centroid_rel(),
              bootstrap.has_centroid_rel(), bootstrap.centroid_rel(), row);
  if (profile.has_bandwidth()) (*row)["bandwidth"] = profile.bandwidth();
  SetEstimate("bandwidth_interpolated", profile.has_bandwidth_interpolated(),
              profile.bandwidth_interpolated(), bootstrap.has_bandwidth_interpolated(),
              bootstrap.bandwidth_interpolated(), row);
}

RunCells RunRow(const SavedRun& run) {
  return {{"created", run.metadata.created()},
          {"command", run.metadata.command()},
          {"state", run.metadata.state()}};
}

RunCells ModelRow(const SavedRun& run, const SavedModel& model) {
  RunCells row = RunRow(run);
  const std::string& source = model.use.source().empty() ? model.use.name() : model.use.source();
  const size_t at = source.rfind('@');
  const std::string in_name = at == std::string::npos ? "" : source.substr(at + 1);
  const std::string& revision = model.use.revision().empty() ? in_name : model.use.revision();
  row["model"] = source.substr(0, at);
  if (!revision.empty()) row["revision"] = revision;
  if (model.Get<v1::Profile>() != nullptr) SetProfile(*model.Get<v1::Profile>(), &row);
  row["run"] = run.path;
  return row;
}

// A row for each model with a profile; where there is none, for each model; for the run alone where it ended
// before its models were opened: then it knows what they are called and no more.
std::vector<RunCells> RowsOf(const SavedRun& run) {
  std::vector<RunCells> with_profile;
  std::vector<RunCells> all;
  for (const SavedModel& model : run.models) {
    all.push_back(ModelRow(run, model));
    if (model.Get<v1::Profile>() != nullptr) with_profile.push_back(all.back());
  }
  if (!with_profile.empty()) return with_profile;
  if (!all.empty()) return all;
  RunCells row = RunRow(run);
  if (!run.metadata.labels().empty()) row["model"] = absl::StrJoin(run.metadata.labels(), ", ");
  row["run"] = run.path;
  return {row};
}

std::string TextOf(const RunCells& row, const char* key) {
  const auto it = row.find(key);
  return it == row.end() || !it->is_string() ? "" : it->get<std::string>();
}

std::string NumberOf(const RunCells& row, const std::string& key) {
  const auto it = row.find(key);
  return it == row.end() ? "-" : absl::StrFormat("%.3f", it->get<double>());
}

std::string IntervalOf(const RunCells& row, const std::string& key) {
  if (!row.contains(key + "_ci_low")) return "-";
  return absl::StrCat(NumberOf(row, key + "_ci_low"), " to ", NumberOf(row, key + "_ci_high"));
}

// In local time, as run directories are named; what is no time is shown as it stands.
std::string LocalTime(const std::string& created) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, created, &time, nullptr)) return created;
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::LocalTimeZone());
}

std::string TableText(const std::vector<RunCells>& rows) {
  std::vector<std::vector<std::string>> cells;
  for (const RunCells& row : rows) {
    cells.push_back({LocalTime(TextOf(row, "created")), TextOf(row, "command"), TextOf(row, "state"),
                     TextOf(row, "model"), TextOf(row, "revision"), TextOf(row, "score"),
                     NumberOf(row, "peak_depth"), NumberOf(row, "centroid_rel"),
                     IntervalOf(row, "centroid_rel"), NumberOf(row, "bandwidth_interpolated"),
                     TextOf(row, "run")});
  }
  return FormatTable({"TIME", "COMMAND", "STATE", "MODEL", "REVISION", "SCORE", "PEAK DEPTH", "CENTROID",
                      "95 % INTERVAL", "BANDWIDTH", "RUN"},
                     cells);
}

// As RFC 4180 has it: quotes around what holds a separator, doubled inside.
std::string CsvCell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvOf(const std::vector<RunCells>& rows) {
  std::string csv = absl::StrCat(absl::StrJoin(kColumns, ","), "\n");
  for (const RunCells& row : rows) {
    std::vector<std::string> cells;
    for (const char* key : kColumns) {
      const auto it = row.find(key);
      cells.push_back(it == row.end() ? "" : it->is_string() ? CsvCell(TextOf(row, key)) : it->dump());
    }
    absl::StrAppend(&csv, absl::StrJoin(cells, ","), "\n");
  }
  return csv;
}

// A path may hold bytes that are no UTF-8, which JSON cannot.
std::string Json(const std::vector<RunCells>& rows) {
  return RunCells(rows).dump(2, ' ', /*ensure_ascii=*/false, RunCells::error_handler_t::replace) + "\n";
}

absl::Status RunProfiles(const ProfilesOptions& options) {
  std::string folder = options.folder;
  if (folder.empty()) {
    INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(Settings(), options.settings_file));
    folder = settings.values.Text("output_dir");
  }
  INDUCT_ASSIGN_OR_RETURN(const RunList list, ReadRuns(folder));
  std::vector<RunCells> rows;
  for (const std::string& problem : list.problems) TellUser(problem);
  for (const SavedRun& run : list.runs) {
    for (const std::string& problem : run.problems) TellUser(absl::StrCat(run.path, ": ", problem));
    for (RunCells& row : RowsOf(run)) rows.push_back(std::move(row));
  }
  if (options.json) {
    std::fputs(Json(rows).c_str(), stdout);
  } else if (options.csv) {
    std::fputs(CsvOf(rows).c_str(), stdout);
  } else if (rows.empty()) {
    std::printf("no runs in %s\n", Printable(folder).c_str());
  } else {
    std::fputs(TableText(rows).c_str(), stdout);
  }
  return absl::OkStatus();
}

// Of the kinds whose runs hold profiles, or of the others.
std::string CommandNames(bool with_profiles) {
  std::vector<std::string> names;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    const bool has_profiles = Leaves(kind, AnalysisKinds().front());
    if (has_profiles != with_profiles) continue;
    for (const KindCommand& command : kind.commands) names.push_back(command.name);
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

void AddProfilesCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<ProfilesOptions>();
  CLI::App* command = app->add_subcommand("profiles", "List saved runs and what their profiles found");
  command
      ->add_option(
          "dir", options->folder,
          "An output folder, a folder of run directories, or one of these [default: the setting output_dir]")
      ->type_name("DIR");
  command
      ->add_option("--settings", options->settings_file,
                   "Settings file [default ~/.config/induct/client.yaml]")
      ->type_name("FILE");
  auto* json = command->add_flag("--json", options->json, "Print a JSON array, an object a row");
  command->add_flag("--csv", options->csv, "Print CSV")->excludes(json);
  command->footer(absl::StrCat(
      "Earliest first, a row for each model with a profile: runs of ", CommandNames(/*with_profiles=*/true),
      ". Other\nruns (", CommandNames(/*with_profiles=*/false),
      ", and those that failed) have a row with their command and state alone.\n"
      "PEAK DEPTH is (peak layer + 0.5) / layers, the interval is the centroid's, BANDWIDTH the interpolated "
      "one; --json\n"
      "and --csv hold more. What can't be read is named on standard error."));
  command->callback([options, action] { *action = [options](Interrupt*) { return RunProfiles(*options); }; });
}

}  // namespace induct::client
