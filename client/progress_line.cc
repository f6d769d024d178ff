#include "client/progress_line.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kAscii = {"_", ".", ":", "-", "=", "+", "*", "#"};
constexpr size_t kFewestCells = 8;
constexpr size_t kUsualCells = 24;  // models with fewer layers get wider ones

// " 43 %".
std::string PercentText(double fraction) {
  return absl::StrFormat("%3d %%", static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100));
}

}  // namespace

size_t JobView::LayersDone() const {
  return static_cast<size_t>(
      std::count_if(layers.begin(), layers.end(), [](const auto& layer) { return layer.has_value(); }));
}

std::optional<BestHead> JobView::Best() const {
  std::optional<BestHead> best;
  for (const auto& layer : layers) {
    if (layer && (!best || layer->score > best->score)) best = layer;
  }
  return best;
}

std::string LayerBars(const JobView& view, size_t width, bool unicode) {
  const size_t n_layers = view.layers.size();
  const size_t repeats = n_layers == 0 ? 0 : std::max<size_t>(std::min(width, kUsualCells) / n_layers, 1);
  const size_t cells = std::min(width, n_layers * repeats);
  const auto& marks = unicode ? kBlocks : kAscii;
  std::string bars;
  for (size_t cell = 0; cell < cells; ++cell) {
    std::optional<double> best;
    const size_t begin = cell * n_layers / cells;
    const size_t end = std::max((cell + 1) * n_layers / cells, begin + 1);
    for (size_t layer = begin; layer < end; ++layer) {
      if (view.layers[layer]) best = std::max(best.value_or(0), view.layers[layer]->score);
    }
    const double height = std::clamp(best.value_or(0), 0.0, 1.0) * marks.size();
    bars += best ? marks[std::min(static_cast<size_t>(height), marks.size() - 1)] : unicode ? "·" : " ";
  }
  return unicode ? bars : absl::StrCat("[", bars, "]");
}

std::string StepLine(const std::string& step, double fraction, size_t columns, bool unicode) {
  const double done = std::clamp(fraction, 0.0, 1.0);
  const std::string percent = PercentText(done);
  const size_t used = DisplayWidth(step) + percent.size() + 6;  // two gaps and the ASCII bar's ends
  if (used + kFewestCells <= columns) {
    const size_t cells = std::min(columns - used, kUsualCells);
    const auto filled = static_cast<size_t>(done * static_cast<double>(cells));
    std::string bar;
    for (size_t cell = 0; cell < cells; ++cell)
      bar += cell < filled ? (unicode ? "█" : "#") : (unicode ? "·" : "-");
    return absl::StrCat(step, "  ", percent, "  ", unicode ? bar : absl::StrCat("[", bar, "]"));
  }
  const size_t room = columns - std::min(columns, percent.size() + 2);
  return absl::StrCat(FirstColumns(step, room), "  ", percent);
}

std::string ClockText(absl::Duration duration) {
  const int64_t seconds = std::max<int64_t>(absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1))), 0);
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string ProgressLine(const JobView& view, size_t columns, bool unicode) {
  const std::string percent = PercentText(view.fraction);
  std::vector<std::string> parts = {percent,
                                    absl::StrFormat("layer %d/%d", view.LayersDone(), view.layers.size())};
  if (view.time_left) parts.push_back(absl::StrCat(ClockText(*view.time_left), " left"));
  if (const auto best = view.Best()) {
    parts.push_back(absl::StrFormat("best %s%sL%dH%d %.2f", Printable(best->model),
                                    best->model.empty() ? "" : " ", best->layer, best->head, best->score));
  }
  while (true) {
    std::string texts;
    for (const std::string& part : parts) absl::StrAppend(&texts, texts.empty() ? "" : "  ", part);
    const size_t used = DisplayWidth(texts) + 4;  // two gaps, or one and the ASCII bar's ends
    if (used + std::min(kFewestCells, view.layers.size()) <= columns) {
      const std::string bars = LayerBars(view, columns - used, unicode);
      return absl::StrCat(percent, "  ", bars, texts.substr(percent.size()));
    }
    if (parts.size() == 1) return texts.substr(0, columns);
    parts.pop_back();
  }
}

}  // namespace induct::client
