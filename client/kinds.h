// What the client knows of each kind of analysis: its commands, what their flags put into a spec, what a run
// of it leaves, and how that is checked, drawn and told. One table; no other place of the client lists the
// kinds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/figures/figure.h"
#include "client/record_file.h"
#include "client/report/findings.h"
#include "client/saved_run.h"
#include "common/settings.h"
#include "google/protobuf/message.h"
#include "induct/v1/analyses.pb.h"

namespace induct::client {

// A name under which the kind is run.
struct KindCommand {
  std::string name;
  std::string help;
  size_t plan_models = 1;  // a plan of at least so many models runs the kind under this name
};

// A flag of the kind's commands that is no setting.
struct KindFlag {
  std::string name;  // "--head"
  std::string type_name;
  std::string help;
  bool required = false;
  bool repeated = false;      // it may be given several times
  std::string excludes = "";  // a flag that cannot be given beside it; empty: none
  // Puts the values, one for each time that the flag was given, into the spec, which has its settings and
  // prompts. An error names the flag, or the file that the value names.
  absl::Status (*apply)(const std::vector<std::string>& values, v1::JobSpec* spec) = nullptr;
  const RecordKind* records = nullptr;  // of the analysis, where the value names the file that holds them
};

struct ModelSize {
  uint32_t n_layers = 0;
  uint32_t n_heads = 0;
};

// An array that belongs to a result.
struct ArrayFile {
  std::string name;
  std::vector<int64_t> shape;
};

// The file of a kind's result, the JSON of a message.
struct ResultFile {
  std::string (*name)(std::string_view model) = nullptr;  // given the model's name in file names
  const google::protobuf::Message* prototype = nullptr;   // the default instance of its type
  // DATA_LOSS where something does not fit together. That its numbers are finite and its heads and matrices
  // are the model's is checked of every result.
  absl::Status (*check)(const google::protobuf::Message& result, ModelSize size) = nullptr;
  // Null: there are none. `model` is the model's name in file names.
  std::vector<ArrayFile> (*arrays)(const google::protobuf::Message& result, const std::string& model,
                                   ModelSize size) = nullptr;
};

// A result as it is shown: one model's, or, of a kind that compares models, the run's.
struct ShownResult {
  const SavedRun& run;
  const SavedModel* model = nullptr;  // null: of the run
};

// Functions that may be null say so.
struct AnalysisKind {
  int field = 0;  // of v1::JobSpec's analysis
  std::vector<KindCommand> commands;
  std::vector<KindFlag> flags;
  std::vector<std::string> topics;  // that settings may be about, and this kind has: SettingKey::topic
  bool compares_models = false;     // several models in one job, and one result of them all
  bool has_profiles = false;        // a run leaves the profile of each model as well
  bool tells_layer_scores = true;   // while it runs
  bool previews_prompts = false;    // its command can print the prompts instead
  bool in_plan = true;              // `run` makes it part of a plan

  // What the user's settings ask beyond the fields that they are, and whether the flags, which have been
  // applied, go together; null: nothing.
  absl::Status (*complete)(const Settings& settings, v1::JobSpec* spec) = nullptr;
  // The kind's own flags that repeat a spec, as the server resolved it; null: none. `model` is the first
  // model's name in file names.
  std::vector<std::string> (*flags_to_repeat)(const v1::JobSpec& spec, const std::string& model) = nullptr;

  ResultFile result;
  // Lines of the terminal's summary.
  std::string (*summary)(const ShownResult& of) = nullptr;
  bool (*has_intervals)(const google::protobuf::Message& result) = nullptr;  // null: never
  // Prompts that the intervals rest on; null: all that were measured. Findings of a kind that says so tell
  // themselves where they are few.
  uint32_t (*prompts_of_intervals)(const google::protobuf::Message& result) = nullptr;

  // Of a kind that compares models also where the run lacks the result itself.
  std::vector<Figure> (*figures)(const ShownResult& of) = nullptr;

  std::string title;                     // of its section in a report: "Nulls", of a model
  std::string question;                  // that it answers
  std::vector<std::string> definitions;  // that its numbers follow, each told once in a report
  std::string suggestion;                // as the next step of a report without it; empty: none
  // `runs` are all of the report.
  Findings (*findings)(const ShownResult& of, const std::vector<SavedRun>& runs) = nullptr;
  // Results of equal identity are told once; null: each is.
  std::vector<std::string> (*identity)(const ShownResult& of) = nullptr;
};

// All of them, in the order in which they are listed, planned and told.
const std::vector<AnalysisKind>& AnalysisKinds();

// Null where this client knows no such kind.
const AnalysisKind* KindOfSpec(const v1::JobSpec& spec);
const AnalysisKind* KindOfCommand(std::string_view command);

// Whether a setting has an effect on a command: on its kind, or, of one that runs a plan, on any kind of
// plans.
bool HasEffectOn(const SettingKey& key, std::string_view command);

// Whether a run of the first kind leaves results of the second.
bool Leaves(const AnalysisKind& run_kind, const AnalysisKind& kind);

// A spec of the kind of these models: one, unless the kind compares them.
v1::JobSpec NewSpec(const AnalysisKind& kind, const std::vector<std::string>& models);
// The spec's analysis. REQUIRES: it has one.
const google::protobuf::Message& AnalysisOf(const v1::JobSpec& spec);

// The result of that kind; null where there is none. REQUIRES: of.model, unless the kind compares models.
const google::protobuf::Message* ResultOf(const AnalysisKind& kind, const ShownResult& of);
// All results of that kind that the run has.
std::vector<ShownResult> ResultsOf(const AnalysisKind& kind, const SavedRun& run);

// Definitions that several kinds share.
inline constexpr char kCurveDefinition[] =
    "The profile is the mean score of each layer's best heads (topq) or of all (mean). Layer l stands at "
    "relative "
    "depth (l + 0.5) / layers; the centroid is the mass-weighted mean depth.";
inline constexpr char kIntervalsDefinition[] =
    "Intervals are 95 % bootstrap intervals over prompts, resampled within each task and lag, the kept heads "
    "held "
    "fixed.";

}  // namespace induct::client
