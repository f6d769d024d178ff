#include "client/figures/run_figures.h"

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "client/figures/figure.h"
#include "client/figures/heatmap.h"
#include "client/figures/profile_curve.h"
#include "common/atomic_file.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/status.h"

namespace induct::client {
namespace {

absl::Status CopyToFolder(const std::string& from, const std::string& folder, const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(from));
  return WithExitCode(WriteFileAtomically(absl::StrCat(folder, "/", name), bytes), ExitCode::kOutput);
}

absl::Status DrawAndPublish(const std::string& folder, const Figure& figure, const std::string& figs_dir) {
  INDUCT_RETURN_IF_ERROR(DrawFigure(folder, figure));
  const std::string png = figure.name + ".png";
  return CopyToFolder(absl::StrCat(folder, "/", png), figs_dir, png);
}

}  // namespace

absl::Status DrawProfileFigures(const v1::Profile& profile, const std::string& title_model,
                                const std::string& figs_dir, RunDirectory* directory) {
  if (!IsSafeFileName(profile.model()) || profile.per_layer().empty())
    return absl::DataLossError("the result is no profile");
  INDUCT_ASSIGN_OR_RETURN(const std::string folder, directory->MakeFolder("figs"));
  INDUCT_RETURN_IF_ERROR(MakeFolders(figs_dir));
  INDUCT_ASSIGN_OR_RETURN(const std::string npy,
                          ReadFile(absl::StrCat(directory->path(), "/", ScoresFile(profile.model()))));
  INDUCT_ASSIGN_OR_RETURN(const FloatArray scores, ParseFloatNpy(npy));
  INDUCT_ASSIGN_OR_RETURN(const Figure heatmap, HeatmapFigure(profile, title_model, scores));
  const absl::Status drawn = DrawAndPublish(folder, heatmap, figs_dir);
  const absl::Status curve = DrawAndPublish(folder, ProfileCurveFigure(profile, title_model), figs_dir);
  return drawn.ok() ? curve : drawn;
}

}  // namespace induct::client
