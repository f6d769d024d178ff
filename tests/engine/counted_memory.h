// How much memory LibTorch holds on the CPU.
#pragma once

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

namespace induct::engine {

// Stands in for LibTorch's CPU allocator while it lives, and knows how much was held at most. One at a time.
class CountedMemory : public c10::Allocator {
 public:
  CountedMemory() : inner_(c10::GetCPUAllocator()) {
    current_ = 0;
    peak_ = 0;
    c10::SetCPUAllocator(this);
  }
  ~CountedMemory() override { c10::SetCPUAllocator(inner_); }

  static int64_t peak() { return peak_; }
  // Forgets what was held at most before now.
  static void ForgetPeak() { peak_ = current_.load(); }

  c10::DataPtr allocate(size_t bytes) override {
    void* const block = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    const int64_t now = current_ += static_cast<int64_t>(malloc_usable_size(block));
    for (int64_t peak = peak_; now > peak && !peak_.compare_exchange_weak(peak, now);) {
    }
    return {block, block, &Free, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &Free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  static constexpr size_t kAlignment = 64;
  static void Free(void* block) {
    current_ -= static_cast<int64_t>(malloc_usable_size(block));
    std::free(block);
  }

  static inline std::atomic<int64_t> current_ = 0, peak_ = 0;
  c10::Allocator* const inner_;
};

}  // namespace induct::engine
