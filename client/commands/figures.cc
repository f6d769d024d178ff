// induct-client figures: the figures of saved runs once more, in another format, size or font.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/commands/command.h"
#include "client/exit_code.h"
#include "client/figures/font.h"
#include "client/figures/run_figures.h"
#include "client/saved_run.h"
#include "client/text.h"
#include "common/status.h"

namespace induct::client {
namespace {

struct FiguresOptions {
  std::vector<std::string> runs;
  std::string size;
  FigureOptions figures;
};

// "1200x800". The sides' range is CheckFigureOptions' to check.
absl::Status ParseSize(const std::string& text, FigureOptions* options) {
  const std::vector<std::string> sides = absl::StrSplit(text, 'x');
  if (sides.size() == 2 && absl::SimpleAtoi(sides[0], &options->width) && options->width > 0 &&
      absl::SimpleAtoi(sides[1], &options->height) && options->height > 0)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--size: \"", text, "\" is no size; write WIDTHxHEIGHT in pixels, for example 1200x800"));
}

// What a run without figures lacks.
absl::Status NothingToDraw(const SavedRun& run) {
  return WithExitCode(absl::FailedPreconditionError(absl::StrCat(
                          run.path, " holds nothing to draw",
                          run.problems.empty() ? "" : absl::StrCat(": ", absl::StrJoin(run.problems, "; ")))),
                      ExitCode::kUsage);
}

absl::Status Draw(const std::string& path, FigureOptions figures) {
  INDUCT_ASSIGN_OR_RETURN(const SavedRun run, ReadRun(path));
  const size_t n_figures = RunFigures(run).size();
  if (n_figures == 0) return NothingToDraw(run);
  for (const std::string& problem : run.problems) TellUser(absl::StrCat(run.path, ": ", problem));
  if (figures.folder.empty()) figures.folder = absl::StrCat(run.path, "/figs");
  INDUCT_RETURN_IF_ERROR(WithExitCode(DrawRunFigures(run, figures, /*figs_dir=*/""), ExitCode::kOutput));
  std::printf("%s (%s) in %s\n", Counted(n_figures, "figure").c_str(), figures.format.c_str(),
              Printable(figures.folder).c_str());
  return absl::OkStatus();
}

// Runs have figures of equal names, which one folder would hold once.
absl::Status CheckFolder(const FiguresOptions& options) {
  if (options.figures.folder.empty() || options.runs.size() == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--output: one folder for ", options.runs.size(),
                   " runs, whose figures have the same names; leave it out, and each run's go into its own "
                   "figs/, or draw the runs one by one"));
}

absl::Status RunFiguresCommand(const FiguresOptions& options) {
  FigureOptions figures = options.figures;
  if (!options.size.empty()) INDUCT_RETURN_IF_ERROR(ParseSize(options.size, &figures));
  INDUCT_RETURN_IF_ERROR(CheckFigureOptions(figures));
  INDUCT_RETURN_IF_ERROR(CheckFolder(options));
  if (const std::string other = FontInstead(figures.font); !other.empty()) {
    TellUser(absl::StrCat("the font \"", figures.font, "\" is not installed here: drawn in ", other));
  }
  absl::Status first;  // error, which RunProgram tells; one run's keeps no other from being drawn
  for (const std::string& path : options.runs) {
    const absl::Status drawn = Draw(path, figures);
    if (!first.ok() && !drawn.ok()) TellUser(std::string(drawn.message()));
    first.Update(drawn);
  }
  return first;
}

}  // namespace

void AddFiguresCommand(CLI::App* app, Action* action) {
  const auto options = std::make_shared<FiguresOptions>();
  CLI::App* command =
      app->add_subcommand("figures", "Draw saved runs' figures again: other format, size, title or font");
  command->add_option("run_dir", options->runs, "The run directories, one or more")
      ->type_name("RUN_DIR...")
      ->required();
  command
      ->add_option("--format", options->figures.format,
                   "Of png, svg and pdf, with commas between them [default png,svg]")
      ->type_name("WORD,WORD,...");
  command
      ->add_option("--size", options->size,
                   "Pixels of each PNG; letters and lines scale with them [default: each figure's own size]")
      ->type_name("WxH");
  command
      ->add_option("--title", options->figures.title,
                   "The first line above each figure [default: the model's name or label]")
      ->type_name("TEXT");
  command->add_option("--font", options->figures.font, "A font's name [default DejaVu Sans]")
      ->type_name("NAME");
  command->add_option("--output", options->figures.folder, "Where to write one run's [default RUN_DIR/figs]")
      ->type_name("DIR");
  command->footer(
      "Draws from the saved files alone, needs no server, and writes each figure's script (.gp) and data "
      "(.csv) beside\n"
      "it. What is missing or damaged in a run is named on standard error, and the rest is drawn.");
  command->callback(
      [options, action] { *action = [options](Interrupt*) { return RunFiguresCommand(*options); }; });
}

}  // namespace induct::client
