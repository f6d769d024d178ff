// The one generator behind every random draw, the same on every platform: SplitMix64 (Steele, Lea, Flood
// 2014).
//
// SplitMix64 is a 64-bit counter and a mixing function (all arithmetic modulo 2^64):
//   next: state += 0x9E3779B97F4A7C15, and the draw is mix(state)
//   mix(z): z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9; z = (z ^ (z >> 27)) * 0x94D049BB133111EB; z ^ (z >> 31)
// The stream of (seed, purpose, index) starts at
//   state = mix(mix(mix(seed) + fnv1a(purpose)) + index)
// where fnv1a is the 64-bit FNV-1a hash of purpose's bytes.
// Below(bound) multiplies a draw with bound to 128 bits and returns the upper half; it draws again while the
// lower half is below 2^64 mod bound, so that every value is equally likely (Lemire 2019).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace induct::analysis {

// A stream of its own per (seed, purpose, index), so that adding one analysis changes no other's numbers.
// Cheap to make and to copy; a copy goes on from where the original stands.
class Random {
 public:
  // `purpose` names what the draws are for ("bootstrap"); `index` counts independent streams within it.
  Random(uint64_t seed, std::string_view purpose, uint64_t index = 0);

  // The plain SplitMix64 sequence of `state`, as other implementations seed it.
  static Random FromState(uint64_t state) { return Random(state); }

  uint64_t Next();
  // Uniform in [0, bound) by rejection. REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound);

  // Fisher-Yates.
  template <typename T>
  void Shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(i)]);
  }

 private:
  explicit Random(uint64_t state) : state_(state) {}

  uint64_t state_;
};

}  // namespace induct::analysis
