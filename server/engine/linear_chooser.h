// Chooses the product of linear layers on a CPU by measuring what each one takes.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "common/decoder_spec.h"
#include "server/engine/linear.h"
#include "server/engine/linear_choice.h"

namespace induct::engine {

struct LinearShape {
  int64_t n_rows = 0, n_in = 0, n_out = 0;
  c10::ScalarType dtype = c10::kFloat;
  std::optional<Activation> activation = {};  // that follows
  bool may_pack = false;                      // whether its weights may change their order

  double Flop() const { return 2.0 * static_cast<double>(n_rows * n_in * n_out); }
};

// One for a process, shared by its models. A shape's choice never changes once it is made. Safe from every
// thread, but call it from one that runs passes, while it runs none: whatever computes at the same time
// disturbs what is measured.
class LinearChooser {
 public:
  LinearChooser(std::optional<LinearProduct> fixed, std::shared_ptr<ChoiceMemory> memory)
      : fixed_(fixed), memory_(std::move(memory)) {}

  // The choices for `shapes`, in their order. Those not known yet are measured, with fewer rows where
  // max_flop, the operations that this may take, does not suffice for all; nothing where that would be so few
  // that they say little, or after a stop request. May throw what LibTorch throws.
  std::optional<std::vector<LinearChoice>> Choose(const std::vector<LinearShape>& shapes, double max_flop,
                                                  std::stop_token stop);

 private:
  std::optional<LinearChoice> Known(const LinearShape& shape) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::optional<LinearProduct> fixed_;
  const std::shared_ptr<ChoiceMemory> memory_;
  absl::Mutex mutex_;  // held while measuring: two would disturb each other
  std::map<std::string, LinearChoice> choices_ ABSL_GUARDED_BY(mutex_);
};

// The methods that a shape can use on this processor.
std::vector<LinearMethod> CandidateMethods(const LinearShape& shape);

// Times them, on numbers of no meaning, and takes the fastest.
LinearChoice MeasureMethods(const LinearShape& shape);

struct Fastest {
  size_t index = 0;
  double seconds = 0;
};

// The fastest of n >= 1 things: time(i) does the i-th once and says how long it took. They take turns, so
// that a busy moment of the machine does not meet one alone, and the least time of each counts, as whatever
// disturbs only adds to it. Of things that differ by no more than noise the first is taken.
Fastest FastestOf(size_t n, absl::FunctionRef<double(size_t)> time);

}  // namespace induct::engine
