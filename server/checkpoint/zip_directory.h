// The directory of a zip file: which entries there are and where.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/checkpoint/input_file.h"

namespace induct::checkpoint {

struct ZipEntry {
  std::string name;
  uint64_t header = 0;  // where its local header starts
  uint64_t offset = 0;  // where its bytes start
  uint64_t size = 0;
};

// The entries of a zip file as torch.save writes them: stored, not compressed, with zip64 sizes where those
// are needed, and nothing behind the directory. Immutable.
class ZipDirectory {
 public:
  // Every entry must lie within the file before the directory, overlap no other and agree with its local
  // header; sums of their bytes are not checked. FAILED_PRECONDITION naming the file and, where it is one's
  // fault, the entry: UNSUPPORTED_MODEL for what is compressed or encrypted, BAD_CHECKPOINT for what is
  // broken, names that stand twice or are no text, and more than kMaxZipEntries.
  static absl::StatusOr<ZipDirectory> Read(const InputFile& file);

  // nullptr where there is none.
  const ZipEntry* Find(std::string_view name) const;
  // By name.
  const std::vector<ZipEntry>& entries() const { return entries_; }

 private:
  std::vector<ZipEntry> entries_;
};

inline constexpr size_t kMaxZipEntries = size_t{1} << 17;
inline constexpr size_t kMaxZipNameBytes = 1024;

}  // namespace induct::checkpoint
