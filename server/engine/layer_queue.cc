#include "server/engine/layer_queue.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/ParallelGuard.h>

#include <map>
#include <optional>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/status.h"
#include "server/engine/device_wait.h"
#include "server/engine/errors.h"

namespace induct::engine {
namespace {

// The stream that layers are copied in, which goes before what is being computed: one for the process and
// device, for memory that LibTorch frees is used again in its own stream alone.
c10::Stream ReadingStream(c10::Device device) {
  static absl::Mutex mutex;
  static std::map<c10::DeviceIndex, c10::Stream>* const streams =
      new std::map<c10::DeviceIndex, c10::Stream>();
  const absl::MutexLock lock(&mutex);
  const auto found = streams->find(device.index());
  if (found != streams->end()) return found->second;
  const c10::impl::VirtualGuardImpl devices(device.type());
  return streams->emplace(device.index(), devices.getStreamFromGlobalPool(device, /*isHighPriority=*/true))
      .first->second;
}

// Calls `read` in that stream, and until all its copies are there.
template <typename Read>
void InReadingStream(c10::Device device, const Read& read) {
  if (device.is_cpu()) return read();
  const c10::Stream stream = ReadingStream(device);
  const c10::StreamGuard guard(stream);
  read();
  stream.synchronize();
}

}  // namespace

LayerQueue::LayerQueue(const WeightStore& weights, int64_t n_layers,
                       std::function<LayerPart(int64_t)> part_of, std::stop_token stop)
    : weights_(weights),
      n_layers_(n_layers),
      part_of_(std::move(part_of)),
      stop_with_caller_(std::move(stop), [this] { stop_.request_stop(); }) {
  BeginToRead(0, /*spent=*/{});
}

LayerQueue::~LayerQueue() { stop_.request_stop(); }

absl::StatusOr<LayerWeights> LayerQueue::Next() {
  const int64_t layer = next_++;
  if (!weights_.streams_layers()) return weights_.Layer(layer, part_of_(layer), {}, stop_.get_token());
  absl::StatusOr<LayerWeights> weights = reading_.get();
  if (IsOutOfMemory(weights.status())) {
    given_ = {};  // nothing is at work now, so there may be room again
    weights = Read(layer, /*spent=*/{});
  }
  INDUCT_RETURN_IF_ERROR(weights.status());
  BeginToRead(layer + 1, std::exchange(given_, *weights));
  weights->UseInCurrentStream();
  return weights;
}

void LayerQueue::BeginToRead(int64_t layer, LayerWeights spent) {
  if (!weights_.streams_layers() || layer >= n_layers_) return;
  // A device may still be at work on what is spent. Only then may it be overwritten.
  std::optional<c10::Event> done = EventNow(weights_.device());
  reading_ = std::async(std::launch::async,
                        [this, layer, spent = std::move(spent), done = std::move(done)]() mutable {
                          if (done) done->synchronize();
                          const c10::ParallelGuard alone(true);  // the other threads compute
                          return Read(layer, std::move(spent));
                        });
}

absl::StatusOr<LayerWeights> LayerQueue::Read(int64_t layer, LayerWeights spent) const {
  absl::StatusOr<LayerWeights> weights;
  InReadingStream(weights_.device(), [&] {
    weights = weights_.Layer(layer, part_of_(layer), std::move(spent), stop_.get_token());
  });
  return weights;
}

}  // namespace induct::engine
