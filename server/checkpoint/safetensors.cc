#include "server/checkpoint/safetensors.h"

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

constexpr uint64_t kSizeBytes = sizeof(uint64_t);
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit

absl::StatusOr<std::string> ReadHeader(const InputFile& file) {
  if (file.size() < kSizeBytes) {
    return BadCheckpoint(
        absl::StrCat(file.name(), ": truncated: ", file.size(), " bytes, no room for a header"));
  }
  uint64_t header_bytes = 0;
  INDUCT_RETURN_IF_ERROR(file.ReadAt(0, std::as_writable_bytes(std::span(&header_bytes, 1))));
  if (header_bytes > kMaxHeaderBytes) {
    return BadCheckpoint(absl::StrCat(file.name(), ": a header of ", header_bytes,
                                      " bytes exceeds the limit of ", kMaxHeaderBytes));
  }
  if (header_bytes > file.size() - kSizeBytes) {
    return BadCheckpoint(absl::StrCat(file.name(), ": truncated: a header of ", header_bytes,
                                      " bytes in a file of ", file.size()));
  }
  return file.ReadText(kSizeBytes, header_bytes);
}

}  // namespace

absl::StatusOr<TensorTable> ReadSafetensors(const InputFile& file) {
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadHeader(file));
  const uint64_t data_start = kSizeBytes + text.size();
  return ParseSafetensorsHeader(text, data_start, file.size() - data_start, file.name());
}

}  // namespace induct::checkpoint
