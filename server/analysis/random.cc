#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

}  // namespace

Random::Random(uint64_t seed, std::string_view purpose, uint64_t index)
    : state_(Mix(Mix(Mix(seed) + Fnv1a(purpose)) + index)) {}

uint64_t Random::Next() {
  state_ += 0x9E3779B97F4A7C15u;
  return Mix(state_);
}

uint64_t Random::Below(uint64_t bound) {
  using Wide = unsigned __int128;
  Wide product = static_cast<Wide>(Next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {  // only then can it lie below 2^64 mod bound
    const uint64_t smallest = -bound % bound;
    while (static_cast<uint64_t>(product) < smallest) product = static_cast<Wide>(Next()) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

}  // namespace induct::analysis
