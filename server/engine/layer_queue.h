// A wave's layers, one after another: where they are streamed, the next one is read while one is at work.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <stop_token>

#include "absl/status/statusor.h"
#include "server/engine/weight_store.h"

namespace induct::engine {

// Made for one pass of the layers, on one thread. Holds at most one layer beside the one that it gave last.
// The destructor waits until reading has ended, which it asks for.
class LayerQueue {
 public:
  // Gives the layers 0 .. n_layers - 1; part_of(layer): what of it is needed. `weights` must outlive the
  // queue.
  LayerQueue(const WeightStore& weights, int64_t n_layers, std::function<LayerPart(int64_t)> part_of,
             std::stop_token stop);
  ~LayerQueue();
  LayerQueue(const LayerQueue&) = delete;
  LayerQueue& operator=(const LayerQueue&) = delete;

  // The next layer's weights, and begins to read the one after it, into the memory of the layer before.
  // Errors as WeightStore::Layer's; where memory ran out while reading ahead it is read once more, with
  // nothing else at work. REQUIRES: fewer than n_layers calls so far, and nobody reads weights that an
  // earlier one gave.
  absl::StatusOr<LayerWeights> Next();

 private:
  // `spent`: whose memory may be used.
  void BeginToRead(int64_t layer, LayerWeights spent);
  absl::StatusOr<LayerWeights> Read(int64_t layer, LayerWeights spent) const;

  const WeightStore& weights_;
  const int64_t n_layers_;
  const std::function<LayerPart(int64_t)> part_of_;
  std::stop_source stop_;  // of reading: at the caller's request, or at the end
  const std::stop_callback<std::function<void()>> stop_with_caller_;
  int64_t next_ = 0;
  LayerWeights given_;  // last, where layers are streamed
  std::future<absl::StatusOr<LayerWeights>> reading_;
};

}  // namespace induct::engine
