// Chooses the product of linear layers on a CPU by measuring what each one takes.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/linear_choice.h"
#include "server/engine/linear_trials.h"

namespace induct::engine {

// One for a process, shared by its models. A shape's choice never changes once it is made. Safe from every
// thread, but call it from one that runs passes, while it runs none: whatever computes at the same time
// disturbs what is measured.
class LinearChooser {
 public:
  LinearChooser(std::optional<LinearProduct> fixed, std::shared_ptr<ChoiceMemory> memory)
      : fixed_(fixed), memory_(std::move(memory)) {}

  // What is chosen for `shapes`, in their order; nothing for a shape that is left for another pass. Those not
  // known yet are measured as long as `time` allows, what the pass computes most with first; none after a
  // stop request. Where there is but one method it is the choice, without a rate. May throw what LibTorch
  // throws.
  std::vector<std::optional<LinearChoice>> Choose(const std::vector<LinearShape>& shapes, ChoosingTime& time,
                                                  std::stop_token stop);

  // As TimesFloat32, once for a process. Nothing where the product is fixed: nobody asks then what would be
  // faster.
  std::optional<double> BesideFloat32(const LinearShape& shape, const LinearMethod& method,
                                      ChoosingTime& time);

 private:
  std::optional<LinearChoice> Known(const LinearShape& shape) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LinearChoice Fixed(const LinearShape& shape) const;
  // In the order in which they are to be measured, each once.
  std::vector<LinearShape> Unknown(const std::vector<LinearShape>& shapes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Measure(const std::vector<LinearShape>& unknown, ChoosingTime& time, const std::stop_token& stop)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Keep(const std::string& key, const MeasuredChoice& measured) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::optional<LinearProduct> fixed_;
  const std::shared_ptr<ChoiceMemory> memory_;
  absl::Mutex mutex_;  // held while measuring: two would disturb each other
  std::map<std::string, LinearChoice> choices_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, double> times_float32_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace induct::engine
