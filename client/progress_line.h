// The one line that shows a running job: how far it is, and what it has found.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace induct::client {

struct BestHead {
  std::string model;  // empty where the job has one alone
  uint32_t layer = 0;
  uint32_t head = 0;
  double score = 0;
};

struct JobView {
  double fraction = 0;                          // 0 .. 1 of the forward pass
  std::vector<std::optional<BestHead>> layers;  // the best head of each layer that is done, model after model
  std::optional<absl::Duration> time_left;

  size_t LayersDone() const;
  // Of all layers; absent before the first is done.
  std::optional<BestHead> Best() const;
};

// A bar of at most `width` cells: several a layer or, where there are more layers than cells, one for several
// layers. A cell's height is the best head's score there, a dot where none is done, so that it shows progress
// and the profile at once. Without `unicode` in ASCII.
std::string LayerBars(const JobView& view, size_t width, bool unicode);

// At most `columns` wide: what matters least is left out first.
std::string ProgressLine(const JobView& view, size_t columns, bool unicode);

// One step of many, such as a download: "downloading model.safetensors  43 %  ████····". The bar is left out
// where `columns` are few; then the step's text is cut.
std::string StepLine(const std::string& step, double fraction, size_t columns, bool unicode);

// "0:42", "1:02:03".
std::string ClockText(absl::Duration duration);

}  // namespace induct::client
