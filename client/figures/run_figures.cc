#include "client/figures/run_figures.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/exit_code.h"
#include "client/figures/causal_delta.h"
#include "client/figures/cross_size_overlay.h"
#include "client/figures/heatmap.h"
#include "client/figures/lag_overlay.h"
#include "client/figures/nulls_density.h"
#include "client/figures/nulls_heatmap.h"
#include "client/figures/pattern_map.h"
#include "client/figures/peak_depths.h"
#include "client/figures/profile_curve.h"
#include "client/figures/script.h"
#include "client/run_directory.h"
#include "common/atomic_file.h"
#include "common/status.h"

namespace induct::client {
namespace {

void Add(std::optional<Figure> figure, std::vector<Figure>* figures) {
  if (figure.has_value()) figures->push_back(*std::move(figure));
}

void AddModelFigures(const SavedModel& model, std::vector<Figure>* figures) {
  if (model.profile.has_value() && model.scores.has_value()) Add(HeatmapFigure(model), figures);
  if (model.profile.has_value()) Add(ProfileCurveFigure(model), figures);
  if (model.nulls.has_value() && model.nulls->has_head_permutation()) Add(NullsDensityFigure(model), figures);
  if (model.nulls.has_value()) Add(NullsHeatmapFigure(model), figures);
  if (model.causal.has_value()) Add(CausalDeltaFigure(model), figures);
  if (model.lag_buckets.has_value()) Add(LagOverlayFigure(model), figures);
  if (model.pattern.has_value() && model.attention.has_value()) Add(PatternFigure(model), figures);
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
    INDUCT_RETURN_IF_ERROR(WithExitCode(
        WriteFileAtomically(absl::StrCat(figs_dir, "/", name, ".png"), png), ExitCode::kOutput));
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
  for (const SavedModel& model : run.models) AddModelFigures(model, &figures);
  Add(CrossSizeOverlayFigure(run), &figures);
  Add(PeakDepthsFigure(run), &figures);
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
