// How large an index of weights in several files (shards) may be: one measure for server/hub, which downloads
// the files that it names, and server/checkpoint, which opens them.
#pragma once

#include <cstddef>

namespace induct {

// Each is open for as long as the checkpoint is in use. The largest published models have some 200.
inline constexpr size_t kMaxShards = 1000;
inline constexpr size_t kMaxShardIndexBytes = size_t{32} << 20;

}  // namespace induct
