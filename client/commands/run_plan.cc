// induct-client run: every analysis of a plan, skipping what is done; the batch scripts' way in.
#include <cstdio>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/commands/analysis_command.h"
#include "client/commands/command.h"
#include "client/commands/server_choice.h"
#include "client/exit_code.h"
#include "client/kinds.h"
#include "client/report/report.h"
#include "client/request.h"
#include "client/run_list.h"
#include "client/table.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

struct Step {
  std::string command;
  v1::JobSpec spec;
};

// A step that has run, or was found done.
struct Done {
  std::string what;   // "nulls of pythia-410m"
  std::string state;  // "done", "done before", "failed", "cancelled", or "stopped", which ends the plan
  std::string path;   // of the run directory, or why there is none
};

// The name under which a plan of so many models runs the kind; null where it does not.
const KindCommand* PlanCommand(const AnalysisKind& kind, size_t n_models) {
  const KindCommand* chosen = nullptr;
  for (const KindCommand& command : kind.commands) {
    if (kind.in_plan && n_models >= command.plan_models) chosen = &command;
  }
  return chosen;
}

// The kinds of a plan in their order, each of every model, or of them all where it compares them.
absl::StatusOr<std::vector<Step>> MakeSteps(const AnalysisFlags& flags, const Settings& settings,
                                            const std::vector<std::string>& models) {
  v1::JobSpec filled;
  filled.mutable_profile();
  INDUCT_RETURN_IF_ERROR(FillSpec(flags, settings, &filled));
  std::vector<Step> steps;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    const KindCommand* command = PlanCommand(kind, models.size());
    if (command == nullptr) continue;
    for (size_t i = 0; i < (kind.compares_models ? 1 : models.size()); ++i) {
      v1::JobSpec spec = NewSpec(kind, kind.compares_models ? models : std::vector{models[i]});
      MutableProfileOf(&spec)->MergeFrom(filled.profile());
      *spec.mutable_options() = filled.options();
      spec.mutable_options()->set_request_id(NewRequestId());
      if (kind.complete != nullptr) INDUCT_RETURN_IF_ERROR(kind.complete(settings, &spec));
      steps.push_back({command->name, std::move(spec)});
    }
  }
  return steps;
}

// "profile, crosssize, nulls": what a plan may hold.
std::string PlanCommandNames() {
  std::vector<std::string> names;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.in_plan) names.push_back(kind.commands.front().name);
  }
  return absl::StrJoin(names, ", ");
}

// The runs that succeeded and are whole, by what they were asked.
std::map<std::string, SavedRun> FindDone(const std::string& output_dir) {
  std::map<std::string, SavedRun> done;
  auto list = ReadRuns(output_dir);
  if (!list.ok()) return done;  // the first run there is still to come
  for (SavedRun& run : list->runs) {
    if (run.metadata.state() != "succeeded" || !run.problems.empty()) continue;
    const std::string sha256 = run.metadata.request_sha256();
    done.insert_or_assign(sha256, std::move(run));  // the latest of equal ones
  }
  return done;
}

class Plan {
 public:
  Plan(const AnalysisFlags& flags, const ClientSettings& settings, Interrupt* interrupt)
      : flags_(flags),
        settings_(settings),
        interrupt_(interrupt),
        done_(FindDone(settings.values.Text("output_dir"))) {}

  // Errors are those after which no further step could run; a job that fails is told by Outcome.
  absl::Status RunStep(Step step) {
    const std::string what = absl::StrCat(step.command, " of ", absl::StrJoin(ModelsOf(step.spec), ", "));
    if (const auto it = done_.find(SpecSha256(step.spec)); it != done_.end()) {
      Note(what, "done before", it->second.path);
      runs_.push_back(it->second);
      return absl::OkStatus();
    }
    Warn(flags_.output, what);
    if (connection_ == nullptr) {
      INDUCT_ASSIGN_OR_RETURN(connection_, Connect(settings_, /*may_start_one=*/true));
    }
    auto run = RunAnalysis(flags_, step.command, settings_.values, std::move(step.spec), connection_.get(),
                           interrupt_);
    if (!run.ok()) return NoteFailure(what, run.status());
    Note(what, "done", run->run.path);
    runs_.push_back(std::move(run->run));
    return absl::OkStatus();
  }

  const std::vector<SavedRun>& runs() const { return runs_; }

  // Empty where nothing was begun.
  std::string Table() const {
    if (log_.empty()) return "";
    std::vector<std::vector<std::string>> rows;
    for (const Done& done : log_) rows.push_back({Printable(done.what), done.state, Printable(done.path)});
    return FormatTable({"ANALYSIS", "STATE", "RUN"}, rows);
  }

  absl::Status Outcome() const {
    if (n_failed_ == 0) return absl::OkStatus();
    return WithExitCode(
        absl::InternalError(
            absl::StrCat(n_failed_, " of ", log_.size(),
                         " analyses failed or were cancelled; run the command again to repeat those alone")),
        ExitCode::kJobFailed);
  }

 private:
  // Whether the plan goes on after this failure: the job's own, those of its request, the hub that lacks its
  // model and somebody else's cancelling concern no other.
  absl::Status NoteFailure(const std::string& what, const absl::Status& status) {
    const ExitCode code = ExitCodeOf(status);
    const bool cancelled = code == ExitCode::kCancelled;
    const bool goes_on = cancelled || code == ExitCode::kJobFailed || code == ExitCode::kUsage ||
                         code == ExitCode::kHubUnusable;
    Note(what, cancelled ? "cancelled" : goes_on ? "failed" : "stopped", std::string(status.message()));
    if (!goes_on) return status;
    ++n_failed_;
    return absl::OkStatus();
  }

  void Note(const std::string& what, const char* state, const std::string& path) {
    log_.push_back({what, state, path});
  }

  const AnalysisFlags& flags_;
  const ClientSettings& settings_;
  Interrupt* const interrupt_;
  const std::map<std::string, SavedRun> done_;
  std::unique_ptr<Connection> connection_;
  std::vector<SavedRun> runs_;
  std::vector<Done> log_;
  int n_failed_ = 0;
};

// Named as its plan with the path that was given, since several plans may share an output folder.
std::string ReportPath(const std::string& output_dir, const std::string& plan_file) {
  std::filesystem::path plan;
  for (const std::filesystem::path& part :
       std::filesystem::path(plan_file).lexically_normal().relative_path()) {
    if (part != "..") plan /= part;
  }
  if (plan.extension() == ".yaml") plan.replace_extension();
  return absl::StrCat(output_dir, "/report_", PlainFileName(plan.string()), ".html");
}

absl::Status RunPlan(const AnalysisFlags& flags, Interrupt* interrupt) {
  INDUCT_ASSIGN_OR_RETURN(const ClientSettings settings, GatherSettings(flags));
  INDUCT_ASSIGN_OR_RETURN(const auto models, ChooseModels(flags, settings.values, ModelFlag::kPlan));
  INDUCT_ASSIGN_OR_RETURN(std::vector<Step> steps, MakeSteps(flags, settings.values, models));
  Plan plan(flags, settings, interrupt);
  absl::Status run;
  for (size_t i = 0; run.ok() && i < steps.size(); ++i) run = plan.RunStep(std::move(steps[i]));
  std::fputs(plan.Table().c_str(), stdout);
  INDUCT_RETURN_IF_ERROR(run);
  if (!flags.output.no_report && !plan.runs().empty()) {
    const std::string report = ReportPath(settings.values.Text("output_dir"), flags.settings_file);
    INDUCT_RETURN_IF_ERROR(WriteReport(plan.runs(), {}, report));
    std::printf("report in %s\n", Printable(report).c_str());
  }
  return plan.Outcome();
}

}  // namespace

void AddRunCommand(CLI::App* app, Action* action) {
  const auto flags = std::make_shared<AnalysisFlags>();
  CLI::App* command = app->add_subcommand(
      "run", absl::StrCat("Everything a plan asks: ", PlanCommandNames(), ", report; skips what is done"));
  AddAnalysisFlags(command, ModelFlag::kPlan, flags.get());
  command->callback(
      [flags, action] { *action = [flags](Interrupt* interrupt) { return RunPlan(*flags, interrupt); }; });
}

}  // namespace induct::client
