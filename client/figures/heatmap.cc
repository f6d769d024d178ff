#include "client/figures/heatmap.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/figures/captions.h"
#include "client/figures/colours.h"
#include "client/figures/head_grid.h"
#include "client/kinds/profile.h"

namespace induct::client {

Figure HeatmapFigure(const SavedModel& model) {
  const v1::Profile& profile = *model.Get<v1::Profile>();
  const std::vector<float>& scores = ScoresOf(model)->values;
  const HeadGrid grid{.n_layers = static_cast<int>(profile.n_layers()),
                      .n_heads = static_cast<int>(profile.n_heads()),
                      .header = "score",
                      .cells = [&](size_t i) { return absl::StrFormat("%.9g", scores[i]); },
                      .highest = *std::max_element(scores.begin(), scores.end()),
                      .palette = kViridis,
                      .value_label = "mean attention probability"};
  Figure figure = HeadGridFigure(absl::StrCat("heatmap_", model.use.name()), grid, "");
  figure.title = {model.label, absl::StrCat(profile.score(), " score per head"), MeasuredOn(profile)};
  return figure;
}

}  // namespace induct::client
