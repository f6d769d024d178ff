#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/json.h"
#include "server/checkpoint/safetensors.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

constexpr int64_t kMaxOffset = std::numeric_limits<int64_t>::max();

struct StoredType {
  const char* name;
  uint64_t bits;
  std::optional<DType> dtype;  // set where induct computes with it
};

constexpr StoredType kStoredTypes[] = {
    {"F32", 32, DType::kFloat32},
    {"F16", 16, DType::kFloat16},
    {"BF16", 16, DType::kBFloat16},
    {"F64", 64, {}},
    {"I64", 64, {}},
    {"U64", 64, {}},
    {"C64", 64, {}},
    {"I32", 32, {}},
    {"U32", 32, {}},
    {"I16", 16, {}},
    {"U16", 16, {}},
    {"I8", 8, {}},
    {"U8", 8, {}},
    {"BOOL", 8, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"F4", 4, {}},
};

const StoredType* FindStoredType(std::string_view name) {
  const auto* found = std::ranges::find(kStoredTypes, name, &StoredType::name);
  return found == std::end(kStoredTypes) ? nullptr : found;
}

// A tensor's place in the data, for the check that places cover it exactly.
struct Extent {
  uint64_t begin, end;
  const std::string* name;  // in the table
};

absl::StatusOr<std::vector<int64_t>> ParseShape(const JsonFields& fields) {
  const json* shape = fields.Find("shape");
  if (shape == nullptr || !shape->is_array()) return fields.Wrong("shape", "must be a list of whole numbers");
  if (shape->size() > kMaxDimensions) {
    return BadCheckpoint(
        absl::StrCat(fields.what(), ": shape has more than ", kMaxDimensions, " dimensions"));
  }
  std::vector<int64_t> sizes;
  for (const json& size : *shape) {
    int64_t value = 0;
    if (!IsIntegerIn(size, 0, kMaxOffset, value)) {
      return BadCheckpoint(absl::StrCat(fields.what(), ": shape must hold whole numbers from 0"));
    }
    sizes.push_back(value);
  }
  return sizes;
}

// Bytes that `shape` takes; nothing where they exceed 64 bits or do not fill whole bytes.
std::optional<uint64_t> BytesOf(const std::vector<int64_t>& shape, uint64_t bits) {
  uint64_t total_bits = bits;
  for (const int64_t size : shape) {
    if (__builtin_mul_overflow(total_bits, static_cast<uint64_t>(size), &total_bits)) return std::nullopt;
  }
  if (total_bits % 8 != 0) return std::nullopt;
  return total_bits / 8;
}

absl::StatusOr<Extent> ParseOffsets(const JsonFields& fields, uint64_t data_bytes) {
  const json* offsets = fields.Find("data_offsets");
  int64_t begin = 0;
  int64_t end = 0;
  if (offsets == nullptr || !offsets->is_array() || offsets->size() != 2 ||
      !IsIntegerIn((*offsets)[0], 0, kMaxOffset, begin) || !IsIntegerIn((*offsets)[1], 0, kMaxOffset, end)) {
    return BadCheckpoint(absl::StrCat(fields.what(), ": data_offsets must be two whole numbers from 0"));
  }
  if (begin > end || static_cast<uint64_t>(end) > data_bytes) {
    return BadCheckpoint(absl::StrCat(fields.what(), ": data_offsets [", begin, ", ", end,
                                      "] do not lie within the ", data_bytes,
                                      " bytes of data that the file holds; it may be truncated"));
  }
  return Extent{static_cast<uint64_t>(begin), static_cast<uint64_t>(end)};
}

// Reads a file's header entry by entry.
class HeaderReader {
 public:
  HeaderReader(uint64_t data_start, uint64_t data_bytes, const std::string& what)
      : data_start_(data_start), data_bytes_(data_bytes), what_(what) {}

  absl::Status Take(const std::string& name, const json& value) {
    if (name == "__metadata__") return CheckMetadata(value);
    if (table_.Holds(name)) {
      return BadCheckpoint(absl::StrCat(what_, ": tensor ", Quoted(name), " stands twice"));
    }
    if (table_.size() == kMaxTensors) {
      return BadCheckpoint(absl::StrCat(what_, ": more than ", kMaxTensors, " tensors"));
    }
    return TakeTensor(name, value);
  }

  // The table, once all entries are taken.
  absl::StatusOr<TensorTable> Finish() {
    INDUCT_RETURN_IF_ERROR(CheckCoverage());
    return std::move(table_);
  }

 private:
  absl::Status TakeTensor(const std::string& name, const json& value);
  absl::Status CheckMetadata(const json& value) const;
  absl::Status CheckCoverage();

  const uint64_t data_start_;
  const uint64_t data_bytes_;
  const std::string& what_;
  TensorTable table_;
  std::vector<Extent> extents_;
};

absl::Status HeaderReader::TakeTensor(const std::string& name, const json& value) {
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields,
                          JsonFields::Of(value, absl::StrCat(what_, ": tensor ", Quoted(name))));
  INDUCT_ASSIGN_OR_RETURN(const std::string dtype, fields.Text("dtype"));
  const StoredType* type = FindStoredType(dtype);
  if (type == nullptr) return BadCheckpoint(absl::StrCat(fields.what(), ": unknown dtype ", Quoted(dtype)));
  INDUCT_ASSIGN_OR_RETURN(std::vector<int64_t> shape, ParseShape(fields));
  INDUCT_ASSIGN_OR_RETURN(Extent extent, ParseOffsets(fields, data_bytes_));
  const std::optional<uint64_t> bytes = BytesOf(shape, type->bits);
  if (bytes != extent.end - extent.begin) {
    return BadCheckpoint(absl::StrCat(fields.what(), ": its data_offsets span ", extent.end - extent.begin,
                                      " bytes, its shape and dtype ", dtype, " take ",
                                      bytes ? absl::StrCat(*bytes) : "no valid number"));
  }
  if (type->dtype) {
    const StoredTensor tensor = {.dtype = *type->dtype,
                                 .shape = std::move(shape),
                                 .offset = data_start_ + extent.begin,
                                 .bytes = *bytes};
    extent.name = &table_.tensors.emplace(name, tensor).first->first;
  } else {
    extent.name = &table_.unusable.emplace(name, UnusableTensor{type->name}).first->first;
  }
  extents_.push_back(extent);
  return absl::OkStatus();
}

// "__metadata__" may hold texts only. induct uses none of them.
absl::Status HeaderReader::CheckMetadata(const json& value) const {
  const bool texts_only =
      value.is_object() && std::ranges::all_of(value, [](const json& entry) { return entry.is_string(); });
  if (!texts_only) return BadCheckpoint(absl::StrCat(what_, ": __metadata__ must be an object of texts"));
  return absl::OkStatus();
}

// The tensors' extents must follow each other from 0 to the end of the data.
absl::Status HeaderReader::CheckCoverage() {
  std::ranges::sort(extents_, {}, [](const Extent& extent) { return std::pair(extent.begin, extent.end); });
  uint64_t covered = 0;
  for (const Extent& extent : extents_) {
    if (extent.begin < covered) {
      return BadCheckpoint(
          absl::StrCat(what_, ": tensor ", Quoted(*extent.name), " overlaps the tensor before it"));
    }
    if (extent.begin > covered) {
      return BadCheckpoint(absl::StrCat(what_, ": a gap of ", extent.begin - covered, " bytes before tensor ",
                                        Quoted(*extent.name)));
    }
    covered = extent.end;
  }
  if (covered != data_bytes_) {
    return BadCheckpoint(absl::StrCat(what_, ": ", data_bytes_ - covered, " bytes after the last tensor"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TensorTable> ParseSafetensorsHeader(std::string_view text, uint64_t data_start,
                                                   uint64_t data_bytes, const std::string& what) {
  HeaderReader reader(data_start, data_bytes, what);
  const JsonStream entries = {.path = {}, .take = [&](const std::string& name, const json& value) {
                                return reader.Take(name, value);
                              }};
  INDUCT_ASSIGN_OR_RETURN(const json document,
                          ParseJson(text, absl::StrCat(what, ": header"), std::span(&entries, 1)));
  if (!document.is_object()) return BadCheckpoint(absl::StrCat(what, ": the header must be a JSON object"));
  return reader.Finish();
}

}  // namespace induct::checkpoint
