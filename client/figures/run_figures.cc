#include "client/figures/run_figures.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/exit_code.h"
#include "client/figures/script.h"
#include "client/kinds.h"
#include "client/run_directory.h"
#include "common/atomic_file.h"
#include "common/status.h"

namespace induct::client {
namespace {

void AddFigures(std::vector<Figure> more, std::vector<Figure>* figures) {
  for (Figure& figure : more) figures->push_back(std::move(figure));
}

absl::Status DrawAndPublish(const std::string& folder, const Figure& figure, const FigureOptions& options,
                            const std::string& figs_dir) {
  INDUCT_RETURN_IF_ERROR(DrawFigure(folder, figure, options));
  INDUCT_ASSIGN_OR_RETURN(const std::vector<PictureFormat> formats, ParseFormats(options.format));
  const bool has_png = std::find(formats.begin(), formats.end(), PictureFormat::kPng) != formats.end();
  if (figs_dir.empty() || !has_png) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(const std::string png, ReadFile(absl::StrCat(folder, "/", figure.name, ".png")));
  for (const std::string& name : {figure.name, figure.newest_name}) {
    if (name.empty()) continue;
    INDUCT_RETURN_IF_ERROR(
        WithExitCode(WriteFileAtomically(absl::StrCat(figs_dir, "/", name, ".png"), png), ExitCode::kOutput));
  }
  return absl::OkStatus();
}

// The error that says most: one of writing, else that there is no gnuplot, else every figure's own.
absl::Status Combine(const std::vector<std::pair<std::string, absl::Status>>& failed) {
  for (const auto& [name, status] : failed) {
    if (ExitCodeOf(status) == ExitCode::kOutput) return status;
  }
  std::vector<std::string> sentences;
  for (const auto& [name, status] : failed) {
    if (absl::IsNotFound(status)) return status;
    sentences.push_back(absl::StrCat(name, ": ", status.message()));
  }
  return sentences.empty() ? absl::OkStatus() : absl::InternalError(absl::StrJoin(sentences, "; "));
}

}  // namespace

std::vector<Figure> RunFigures(const SavedRun& run) {
  std::vector<Figure> figures;
  for (const SavedModel& model : run.models) {
    for (const AnalysisKind& kind : AnalysisKinds()) {
      const ShownResult of{run, &model};
      if (!kind.compares_models && ResultOf(kind, of) != nullptr) AddFigures(kind.figures(of), &figures);
    }
  }
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.compares_models) AddFigures(kind.figures({run}), &figures);
  }
  return figures;
}

absl::Status DrawRunFigures(const SavedRun& run, const FigureOptions& options, const std::string& figs_dir) {
  INDUCT_RETURN_IF_ERROR(CheckFigureOptions(options));
  const std::vector<Figure> figures = RunFigures(run);
  if (figures.empty()) return absl::OkStatus();
  const std::string folder = options.folder.empty() ? absl::StrCat(run.path, "/figs") : options.folder;
  INDUCT_RETURN_IF_ERROR(MakeFolders(folder));
  if (!figs_dir.empty()) INDUCT_RETURN_IF_ERROR(MakeFolders(figs_dir));
  std::vector<std::pair<std::string, absl::Status>> failed;
  for (const Figure& figure : figures) {
    const absl::Status drawn = DrawAndPublish(folder, figure, options, figs_dir);
    if (!drawn.ok()) failed.emplace_back(figure.name, drawn);
  }
  return Combine(failed);
}

}  // namespace induct::client
