#include "server/checkpoint/zip_directory.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

// Record sizes without their variable parts, and the offsets of the fields that are read.
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kZip64LocatorBytes = 20;
constexpr uint64_t kZip64EndBytes = 56;
constexpr uint64_t kEntryBytes = 46;
constexpr uint64_t kLocalHeaderBytes = 30;

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kEntrySignature = 0x02014b50;
constexpr uint32_t kLocalHeaderSignature = 0x04034b50;

constexpr uint16_t kEncryptedFlags = 1 << 0 | 1 << 6 | 1 << 13;
constexpr uint16_t kZip64ExtraId = 1;
// What a field holds whose value stands in the zip64 record instead.
constexpr uint16_t kIn64Bits16 = std::numeric_limits<uint16_t>::max();
constexpr uint32_t kIn64Bits32 = std::numeric_limits<uint32_t>::max();

// The little-endian number at `offset`. REQUIRES: it lies within `bytes`.
template <typename Number>
Number NumberAt(std::string_view bytes, size_t offset) {
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

class DirectoryReader {
 public:
  explicit DirectoryReader(const InputFile& file) : file_(file) {}

  absl::StatusOr<std::vector<ZipEntry>> Read() {
    INDUCT_RETURN_IF_ERROR(ReadEnd());
    INDUCT_RETURN_IF_ERROR(ReadEntries());
    INDUCT_RETURN_IF_ERROR(LocateData());
    INDUCT_RETURN_IF_ERROR(SortByName());
    return std::move(entries_);
  }

 private:
  absl::Status Bad(const std::string& complaint) const {
    return BadCheckpoint(absl::StrCat(file_.name(), ": ", complaint));
  }
  absl::Status BadEntry(const ZipEntry& entry, const std::string& complaint) const {
    return Bad(absl::StrCat("entry ", Quoted(entry.name), " ", complaint));
  }

  absl::Status ReadEnd();
  absl::Status ReadZip64End();
  absl::Status ReadEntries();
  absl::StatusOr<ZipEntry> ReadEntry(std::string_view record) const;
  absl::Status ReadZip64Extra(std::string_view extra, ZipEntry& entry) const;
  absl::Status CheckMethod(const ZipEntry& entry, uint16_t flags, uint16_t method) const;
  absl::Status LocateData();
  absl::Status LocateData(ZipEntry& entry) const;
  absl::Status SortByName();

  const InputFile& file_;
  uint64_t end_ = 0;  // where the directory ends and the records about it start
  uint64_t n_entries_ = 0;
  uint64_t directory_bytes_ = 0;
  uint64_t directory_offset_ = 0;
  std::vector<ZipEntry> entries_;
};

absl::Status DirectoryReader::ReadEnd() {
  if (file_.size() < kEndBytes) return Bad("truncated: no room for a zip directory");
  end_ = file_.size() - kEndBytes;
  INDUCT_ASSIGN_OR_RETURN(const std::string end, file_.ReadText(end_, kEndBytes));
  if (NumberAt<uint32_t>(end, 0) != kEndSignature) {
    return Bad("truncated, or no zip file of torch.save: it does not end with a zip directory");
  }
  n_entries_ = NumberAt<uint16_t>(end, 10);
  directory_bytes_ = NumberAt<uint32_t>(end, 12);
  directory_offset_ = NumberAt<uint32_t>(end, 16);
  const bool one_disk = NumberAt<uint32_t>(end, 4) == 0 && NumberAt<uint16_t>(end, 8) == n_entries_;
  if (!one_disk || NumberAt<uint16_t>(end, 20) != 0) return Bad("zip of several parts, or with a comment");
  INDUCT_RETURN_IF_ERROR(ReadZip64End());
  if (directory_offset_ > end_ || directory_bytes_ != end_ - directory_offset_) {
    return Bad("the zip directory is not where the file's last bytes say");
  }
  if (n_entries_ > kMaxZipEntries) return Bad(absl::StrCat("more than ", kMaxZipEntries, " zip entries"));
  return absl::OkStatus();
}

// The record that torch.save always writes, and needs where a number exceeds 16 or 32 bits. Both places must
// agree where the number fits.
absl::Status DirectoryReader::ReadZip64End() {
  if (end_ < kZip64EndBytes + kZip64LocatorBytes) return absl::OkStatus();
  const uint64_t record_offset = end_ - kZip64LocatorBytes - kZip64EndBytes;
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes,
                          file_.ReadText(record_offset, kZip64EndBytes + kZip64LocatorBytes));
  const std::string_view record = std::string_view(bytes).substr(0, kZip64EndBytes);
  const std::string_view locator = std::string_view(bytes).substr(kZip64EndBytes);
  if (NumberAt<uint32_t>(locator, 0) != kZip64LocatorSignature) return absl::OkStatus();
  if (NumberAt<uint64_t>(locator, 8) != record_offset || NumberAt<uint32_t>(record, 0) != kZip64EndSignature)
    return Bad("the zip64 record is not where it should be");
  const auto n_entries = NumberAt<uint64_t>(record, 32);
  const auto directory_bytes = NumberAt<uint64_t>(record, 40);
  const auto directory_offset = NumberAt<uint64_t>(record, 48);
  if ((n_entries_ != kIn64Bits16 && n_entries_ != n_entries) ||
      (directory_bytes_ != kIn64Bits32 && directory_bytes_ != directory_bytes) ||
      (directory_offset_ != kIn64Bits32 && directory_offset_ != directory_offset))
    return Bad("the zip64 record contradicts the other one");
  n_entries_ = n_entries;
  directory_bytes_ = directory_bytes;
  directory_offset_ = directory_offset;
  end_ = record_offset;
  return absl::OkStatus();
}

absl::Status DirectoryReader::ReadEntries() {
  if (n_entries_ > directory_bytes_ / kEntryBytes)
    return Bad("the zip directory is shorter than its entries");
  INDUCT_ASSIGN_OR_RETURN(const std::string directory, file_.ReadText(directory_offset_, directory_bytes_));
  entries_.reserve(n_entries_);
  std::string_view rest = directory;
  for (uint64_t i = 0; i < n_entries_; ++i) {
    if (rest.size() < kEntryBytes || NumberAt<uint32_t>(rest, 0) != kEntrySignature)
      return Bad(absl::StrCat("zip entry ", i, " is broken"));
    const size_t bytes = kEntryBytes + NumberAt<uint16_t>(rest, 28) + NumberAt<uint16_t>(rest, 30) +
                         NumberAt<uint16_t>(rest, 32);
    if (bytes > rest.size()) return Bad(absl::StrCat("zip entry ", i, " exceeds the directory"));
    INDUCT_ASSIGN_OR_RETURN(ZipEntry entry, ReadEntry(rest.substr(0, bytes)));
    entries_.push_back(std::move(entry));
    rest.remove_prefix(bytes);
  }
  return rest.empty() ? absl::OkStatus() : Bad("the zip directory is longer than its entries");
}

// `record` is an entry with its name, extra fields and comment.
absl::StatusOr<ZipEntry> DirectoryReader::ReadEntry(std::string_view record) const {
  const size_t name_bytes = NumberAt<uint16_t>(record, 28);
  ZipEntry entry = {.name = std::string(record.substr(kEntryBytes, name_bytes)),
                    .header = NumberAt<uint32_t>(record, 42),
                    .size = NumberAt<uint32_t>(record, 24)};
  if (name_bytes > kMaxZipNameBytes || !IsUtf8(entry.name)) {
    return Bad(absl::StrCat("a zip entry's name is no text of at most ", kMaxZipNameBytes, " bytes"));
  }
  INDUCT_RETURN_IF_ERROR(CheckMethod(entry, NumberAt<uint16_t>(record, 8), NumberAt<uint16_t>(record, 10)));
  if (NumberAt<uint32_t>(record, 20) != entry.size)
    return BadEntry(entry, "is stored in another number of bytes than it has");
  INDUCT_RETURN_IF_ERROR(
      ReadZip64Extra(record.substr(kEntryBytes + name_bytes, NumberAt<uint16_t>(record, 30)), entry));
  return entry;
}

// Sizes and place of an entry beyond 4 GiB: each that is saturated, in the order of its fields.
absl::Status DirectoryReader::ReadZip64Extra(std::string_view extra, ZipEntry& entry) const {
  if (entry.size != kIn64Bits32 && entry.header != kIn64Bits32) return absl::OkStatus();
  while (extra.size() >= 4) {
    const uint16_t id = NumberAt<uint16_t>(extra, 0);
    std::string_view numbers = extra.substr(4, NumberAt<uint16_t>(extra, 2));
    extra.remove_prefix(std::min<size_t>(extra.size(), 4 + NumberAt<uint16_t>(extra, 2)));
    if (id != kZip64ExtraId) continue;
    const size_t needed = (entry.size == kIn64Bits32 ? 16 : 0) + (entry.header == kIn64Bits32 ? 8 : 0);
    if (numbers.size() < needed) break;
    if (entry.size == kIn64Bits32) {
      entry.size = NumberAt<uint64_t>(numbers, 0);
      if (NumberAt<uint64_t>(numbers, 8) != entry.size) break;
      numbers.remove_prefix(16);
    }
    if (entry.header == kIn64Bits32) entry.header = NumberAt<uint64_t>(numbers, 0);
    return absl::OkStatus();
  }
  return BadEntry(entry, "has no good zip64 field for its size and place");
}

absl::Status DirectoryReader::CheckMethod(const ZipEntry& entry, uint16_t flags, uint16_t method) const {
  const std::string what = absl::StrCat(file_.name(), ": entry ", Quoted(entry.name));
  if (flags & kEncryptedFlags) return UnsupportedModel(absl::StrCat(what, " is encrypted"));
  if (method != 0) {
    return UnsupportedModel(
        absl::StrCat(what, " is compressed (method ", method, "); torch.save stores entries as they are"));
  }
  return absl::OkStatus();
}

absl::Status DirectoryReader::LocateData() {
  std::ranges::sort(entries_, {}, &ZipEntry::header);
  for (size_t i = 0; i < entries_.size(); ++i) {
    ZipEntry& entry = entries_[i];
    INDUCT_RETURN_IF_ERROR(LocateData(entry));
    const uint64_t limit = i + 1 < entries_.size() ? entries_[i + 1].header : directory_offset_;
    if (entry.offset > limit || entry.size > limit - entry.offset)
      return BadEntry(entry, "overlaps what follows it in the file");
  }
  return absl::OkStatus();
}

// Finds where the entry's bytes start, behind a local header that must agree with the directory.
absl::Status DirectoryReader::LocateData(ZipEntry& entry) const {
  const uint64_t bytes = kLocalHeaderBytes + entry.name.size();
  if (entry.header > directory_offset_ || bytes > directory_offset_ - entry.header)
    return BadEntry(entry, "does not lie within the file");
  INDUCT_ASSIGN_OR_RETURN(const std::string header, file_.ReadText(entry.header, bytes));
  INDUCT_RETURN_IF_ERROR(CheckMethod(entry, NumberAt<uint16_t>(header, 6), NumberAt<uint16_t>(header, 8)));
  if (NumberAt<uint32_t>(header, 0) != kLocalHeaderSignature ||
      NumberAt<uint16_t>(header, 26) != entry.name.size() ||
      std::string_view(header).substr(kLocalHeaderBytes) != entry.name) {
    return BadEntry(entry, "has another name, or nothing, where the directory says it is");
  }
  entry.offset = entry.header + bytes + NumberAt<uint16_t>(header, 28);
  return absl::OkStatus();
}

absl::Status DirectoryReader::SortByName() {
  std::ranges::sort(entries_, {}, &ZipEntry::name);
  const auto twice = std::ranges::adjacent_find(entries_, {}, &ZipEntry::name);
  if (twice != entries_.end()) return BadEntry(*twice, "stands twice");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipDirectory> ZipDirectory::Read(const InputFile& file) {
  ZipDirectory directory;
  INDUCT_ASSIGN_OR_RETURN(directory.entries_, DirectoryReader(file).Read());
  return directory;
}

const ZipEntry* ZipDirectory::Find(std::string_view name) const {
  const auto found = std::ranges::lower_bound(entries_, name, {}, &ZipEntry::name);
  return found != entries_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace induct::checkpoint
