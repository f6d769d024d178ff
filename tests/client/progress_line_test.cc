#include "client/progress_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/text.h"

namespace induct::client {
namespace {

JobView View(size_t n_layers, size_t done) {
  JobView view{.fraction = static_cast<double>(done) / static_cast<double>(n_layers),
               .layers = {},
               .time_left = absl::Seconds(61)};
  view.layers.resize(n_layers);
  for (size_t layer = 0; layer < done; ++layer) {
    view.layers[layer] = BestHead{
        .layer = static_cast<uint32_t>(layer), .head = 3, .score = static_cast<double>(layer + 1) / n_layers};
  }
  return view;
}

TEST(ProgressLineTest, ShowsScoresSoFarAndLayersToCome) {
  EXPECT_EQ(LayerBars(View(24, 3), 80, true), "▁▁▂·····················");
  EXPECT_EQ(LayerBars(View(4, 4), 4, true), "▃▅▇█");
  EXPECT_EQ(LayerBars(View(4, 2), 80, false), "[::::::======            ]");
  EXPECT_EQ(ProgressLine(View(24, 3), 80, true),
            " 12 %  ▁▁▂·····················  layer 3/24  1:01 left  best L2H3 0.12");
}

TEST(ProgressLineTest, ManyLayersShareCellsAndTheBestOfThemShows) {
  JobView view = View(100, 0);
  view.layers[57] = BestHead{.layer = 57, .head = 1, .score = 1};
  const std::string bars = LayerBars(view, 10, true);
  EXPECT_EQ(bars, "·····█····");
}

TEST(ProgressLineTest, NeverWiderThanTheTerminal) {
  for (const size_t layers : {1, 4, 12, 48, 200}) {
    for (size_t columns = 1; columns < 100; ++columns) {
      for (const bool unicode : {true, false}) {
        EXPECT_LE(DisplayWidth(ProgressLine(View(layers, layers / 2), columns, unicode)), columns) << layers;
      }
    }
  }
}

TEST(ProgressLineTest, AStepShowsHowFarItIs) {
  EXPECT_EQ(StepLine("downloading model.safetensors", 0.43, 80, true),
            "downloading model.safetensors   43 %  ██████████··············");
  EXPECT_EQ(StepLine("downloading model.safetensors", 0.43, 80, false),
            "downloading model.safetensors   43 %  [##########--------------]");
  EXPECT_EQ(StepLine("downloading model.safetensors", 0.43, 40, true),
            "downloading model.safetensors   43 %");
  EXPECT_EQ(StepLine("downloading", 2, 12, true), "downl  100 %");
  for (size_t columns = 7; columns < 60; ++columns) {
    for (const bool unicode : {true, false})
      EXPECT_LE(DisplayWidth(StepLine("lädt model.safetensors", 0.5, columns, unicode)), columns);
  }
}

TEST(ProgressLineTest, ClockTimes) {
  EXPECT_EQ(ClockText(absl::Seconds(0)), "0:00");
  EXPECT_EQ(ClockText(absl::Milliseconds(59200)), "1:00");
  EXPECT_EQ(ClockText(absl::Seconds(3723)), "1:02:03");
}

}  // namespace
}  // namespace induct::client
