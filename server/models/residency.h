// Which models are loaded where, within a budget of bytes per device.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/engine/engine.h"
#include "server/metrics/recorder.h"
#include "server/models/weight_bytes.h"

namespace induct::models {

// A copy of a model's weights: kLoading while its bytes are reserved and read, kAvailable once it can be
// used, kUnloading while its memory goes back.
enum class ModelState { kUnloaded, kLoading, kAvailable, kUnloading };

// "unloaded", "loading", "available", "unloading".
std::string_view StateName(ModelState state);

// The life of a copy: a load that fails goes back, what is loaded must be unloaded. The one table of it; no
// state changes in another way.
inline constexpr auto kModelTransitions = std::to_array<std::pair<ModelState, ModelState>>({
    {ModelState::kUnloaded, ModelState::kLoading},
    {ModelState::kLoading, ModelState::kAvailable},
    {ModelState::kLoading, ModelState::kUnloaded},
    {ModelState::kAvailable, ModelState::kUnloading},
    {ModelState::kUnloading, ModelState::kUnloaded},
});

// Whether the table has that edge.
bool CanChange(ModelState from, ModelState to);

// What is being done to get a model ready, for people who wait; `fraction`, 0 .. 1, is of this step, where
// known.
struct PreparationStep {
  std::string what;
  std::optional<double> fraction;
};
// May be empty. Called on the thread that waits.
using StepSink = std::function<void(const PreparationStep&)>;

// What a load does that finds no room beside models in use: wait for it, or stream the layers instead, at
// once.
enum class WhenFull { kWait, kStream };

// Makes the engine's model with these options. Called without locks.
using LoadFunction = std::function<absl::StatusOr<std::unique_ptr<engine::Model>>(const engine::LoadOptions&,
                                                                                  std::stop_token)>;

// A model that somebody asks for.
struct LoadRequest {
  std::string key;          // the same for all requests for one model
  std::string name;         // for people
  std::string fingerprint;  // of its files: copies made of other contents are out of date
  engine::LoadOptions options;
  WeightBytes bytes;
  LoadFunction load;
};

// What is known of one model: of all its copies, on all devices and in all dtypes.
struct ResidentStats {
  ModelState state = ModelState::kUnloaded;  // of the copy that is nearest to use
  uint64_t bytes = 0;                        // reserved
  uint32_t n_pins = 0;                       // handles and loads
  absl::Time last_use = absl::InfinitePast();
  double load_seconds = 0;  // of the latest load; 0: never loaded
};

struct ResidentBytes {
  std::string model;  // without revision
  std::string device;
  int64_t bytes = 0;
};

class ModelHandle;

// Safe for concurrent use: one lock, under which nothing is loaded, freed or called, so that asking what
// there is never waits for a load. Must outlive its handles.
//
// Why nobody waits for ever. Only WhenFull::kWait waits for memory, and what waits holds no reservation. Jobs
// wait so while they prepare, before they hold any handle; so every byte that is missing belongs to a load,
// which waits for nobody, to a job that has its device, or to one that waits for its device. A job that has
// its device asks for its further models with kStream, which does not wait for memory: it ends, and after it
// those that waited for the device.
class Residency {
 public:
  // Bytes of weights by device; a device that is not named has no limit. `recorder` must outlive this.
  explicit Residency(std::map<std::string, int64_t> budgets,
                     metrics::Recorder* recorder = metrics::NoRecorder())
      : budgets_(std::move(budgets)), recorder_(recorder) {}

  // The model, pinned. A whole copy is shared by all who ask for the same key, fingerprint, device and dtype;
  // of two at once one loads and the other waits (and loads itself where the first is cancelled or fails). A
  // streamed copy, which options.stream_layers or a lack of room asks for, is the caller's alone.
  //
  // A load reserves its bytes first, for which the least recently used copies that nobody uses are unloaded.
  // What exceeds the whole budget is streamed. With kStream, where not even streaming finds room beside
  // models in use, the streamed copy goes beyond the budget: see above.
  //
  // FAILED_PRECONDITION (MODEL_TOO_LARGE) where the budget does not even hold what streaming needs; CANCELLED
  // at once when `stop` is requested; errors of request.load, which are not remembered.
  absl::StatusOr<ModelHandle> Acquire(const LoadRequest& request, WhenFull when_full, const StepSink& on_step,
                                      std::stop_token stop);

  // Whether the layers are streamed whatever else is loaded: the options ask for it, or all weights together
  // exceed the budget.
  bool AlwaysStreams(const engine::LoadOptions& options, const WeightBytes& bytes) const;

  // Frees every copy of a model. FAILED_PRECONDITION (MODEL_IN_USE) where one is in use, then all stay. OK
  // also where there is none.
  absl::Status Unload(const std::string& key, const std::string& name);

  ResidentStats StatsOf(const std::string& key) const;
  // What is reserved on which device, of one model's dtypes and revisions together; sorted.
  std::vector<ResidentBytes> List() const;

  // Bytes that are reserved on a device.
  int64_t ReservedBytes(const std::string& device) const;

 private:
  friend class ModelHandle;

  // Its members are guarded by mutex_, but for the model of a copy in kUnloading: that belongs to the thread
  // that brought it there.
  struct Copy {
    std::string key, name, fingerprint;
    engine::LoadOptions options;  // stream_layers: what was done, not what was asked for
    int64_t bytes = 0;            // reserved
    ModelState state = ModelState::kUnloaded;
    uint32_t n_pins = 0;
    bool is_outdated = false;
    absl::Time last_use;
    std::unique_ptr<engine::Model> model;
  };
  using CopyPtr = std::shared_ptr<Copy>;

  // What a request does next: use the copy, load it (it is kLoading then) once `evicted` are freed, or, where
  // there is none, wait for what `waits_for` says.
  struct Next {
    CopyPtr copy;
    bool is_to_load = false;
    std::vector<CopyPtr> evicted;
    std::string waits_for;
  };

  absl::Status CheckFits(const LoadRequest& request) const;
  void RetireOutdated(const LoadRequest& request);
  // Blocks until there is something to do, or to wait for that `told` does not say, or a stop request.
  Next AwaitNext(const LoadRequest& request, WhenFull when_full, const std::string& told,
                 const std::stop_token& stop);
  Next Decide(const LoadRequest& request, WhenFull when_full) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  CopyPtr FindWhole(const LoadRequest& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  enum class Limit { kBudget, kNone };
  // A new copy in kLoading; without one where there is no room.
  Next Reserve(const LoadRequest& request, bool streamed, Limit limit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<CopyPtr> Idle(const std::string& device) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::string WhatBlocks(const std::string& device) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t Reserved(const std::string& device) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int64_t BudgetOf(const std::string& device) const;

  absl::StatusOr<ModelHandle> Load(const LoadRequest& request, const Next& next, const StepSink& on_step,
                                   const std::stop_token& stop);
  // Frees copies that the caller brought to kUnloading, and gives their memory back to the system.
  void Free(const std::vector<CopyPtr>& copies);
  void Unpin(const CopyPtr& copy);

  // The one door to a copy's state; it ends the process where the table lacks the edge.
  void SetState(Copy& copy, ModelState state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::map<std::string, int64_t> budgets_;
  metrics::Recorder* const recorder_;

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;                              // a state, a pin or a reservation
  std::list<CopyPtr> copies_ ABSL_GUARDED_BY(mutex_);  // none is kUnloaded
  struct History {
    absl::Time last_use = absl::InfinitePast();
    double load_seconds = 0;
  };
  std::map<std::string, History> history_ ABSL_GUARDED_BY(mutex_);  // by key
};

// A loaded model, which stays loaded while the handle lives. Move-only; used by one thread at a time.
class ModelHandle {
 public:
  ModelHandle(ModelHandle&& other) noexcept
      : residency_(std::exchange(other.residency_, nullptr)),
        copy_(std::move(other.copy_)),
        model_(other.model_),
        streamed_(other.streamed_) {}
  ModelHandle& operator=(ModelHandle&& other) noexcept;
  ~ModelHandle();

  engine::Model& operator*() const { return *model_; }
  engine::Model* operator->() const { return model_; }

  // Whether layers are read from the checkpoint when their turn comes.
  bool streamed() const { return streamed_; }

 private:
  friend class Residency;
  // REQUIRES: the copy is kAvailable, and pinned for this handle.
  ModelHandle(Residency* residency, Residency::CopyPtr copy)
      : residency_(residency),
        copy_(std::move(copy)),
        model_(copy_->model.get()),
        streamed_(copy_->options.stream_layers) {}

  Residency* residency_;
  Residency::CopyPtr copy_;
  engine::Model* model_;
  bool streamed_;
};

}  // namespace induct::models
