#include "client/commands/run_output.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "client/figures/run_figures.h"
#include "client/report/report.h"
#include "client/summary.h"
#include "client/text.h"
#include "common/status.h"

namespace induct::client {
namespace {

// Figures and report of a run that succeeded, from its files; whether it has figures. An error is one of
// writing.
absl::StatusOr<bool> IllustrateRun(const OutputFlags& flags, const std::string& figs_dir, RunWriter* writer) {
  const SavedRun run = ReadRunFiles(writer->path(), writer->metadata());
  const auto warn = [&](const std::string& sentence) {
    Warn(flags, sentence);
    writer->AddWarning(sentence);
  };
  bool has_figures = false;
  if (!flags.no_figures) {
    const absl::Status drawn = DrawRunFigures(run, {}, figs_dir);
    if (!drawn.ok() && ExitCodeOf(drawn) == ExitCode::kOutput) return drawn;
    has_figures = drawn.ok();
    if (!drawn.ok()) {
      warn(absl::StrCat("no figures: ", absl::IsNotFound(drawn) ? "install gnuplot (Debian: gnuplot-nox)"
                                                                : std::string(drawn.message())));
    }
  }
  if (flags.no_report) return has_figures;
  const absl::Status reported = WriteReport({run}, {}, absl::StrCat(run.path, "/report.html"));
  if (!reported.ok() && ExitCodeOf(reported) == ExitCode::kOutput) return reported;
  if (!reported.ok()) warn(absl::StrCat("no report: ", reported.message()));
  return has_figures;
}

}  // namespace

void AddOutputFlags(CLI::App* command, OutputFlags* flags) {
  command->add_flag("--quiet", flags->quiet, "Print nothing but errors on standard error");
  command->add_flag("--no_figures", flags->no_figures, "Draw no figures; `figures RUN_DIR` can later");
  command->add_flag("--no_report", flags->no_report, "Write no report.html and report.md");
}

void AddJsonFlag(CLI::App* command, OutputFlags* flags) {
  command->add_flag("--json", flags->json, "Print the result as JSON and nothing else on standard output");
}

void Warn(const OutputFlags& flags, const std::string& sentence) {
  if (!flags.quiet) TellUser(sentence);
}

absl::StatusOr<FinishedRun> FinishRun(
    const OutputFlags& flags, const std::string& figs_dir, absl::Status outcome, RunWriter* writer,
    const std::function<absl::Status(const absl::Status&)>& or_interrupted) {
  writer->Conclude(outcome);
  absl::StatusOr<bool> has_figures = false;
  if (outcome.ok()) {
    has_figures = IllustrateRun(flags, figs_dir, writer);
    outcome = has_figures.status();
  }
  outcome = or_interrupted(outcome);
  writer->Conclude(outcome);
  const absl::Status closed = writer->Close();
  INDUCT_RETURN_IF_ERROR(outcome);
  INDUCT_RETURN_IF_ERROR(closed);
  INDUCT_ASSIGN_OR_RETURN(SavedRun run, ReadRun(writer->path()));
  return FinishedRun{.run = std::move(run), .has_figures = *has_figures};
}

absl::Status PrintResult(const OutputFlags& flags, const std::string& figs_dir, const FinishedRun& finished) {
  const SavedRun& run = finished.run;
  const std::string saved =
      finished.has_figures ? absl::StrCat(run.path, ", figures in ", figs_dir) : run.path;
  if (!flags.json) {
    std::fputs(SummaryText(run, saved).c_str(), stdout);
    return absl::OkStatus();
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ResultJson(run));
  std::fputs(json.c_str(), stdout);
  for (const std::string& warning : run.metadata.warnings()) Warn(flags, absl::StrCat("warning: ", warning));
  Warn(flags, absl::StrCat("saved in ", saved));
  return absl::OkStatus();
}

}  // namespace induct::client
