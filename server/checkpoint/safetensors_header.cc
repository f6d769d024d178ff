#include "server/checkpoint/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;
using Tensor = SafetensorsFile::Tensor;

constexpr int64_t kMaxOffset = std::numeric_limits<int64_t>::max();

struct StoredType {
  std::string_view name;
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
  const std::string* name;
};

absl::StatusOr<std::vector<int64_t>> ParseShape(const JsonFields& fields) {
  const json* shape = fields.Find("shape");
  if (shape == nullptr || !shape->is_array()) return fields.Wrong("shape", "must be a list of whole numbers");
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

absl::StatusOr<Extent> ParseOffsets(const JsonFields& fields, const std::string& name, uint64_t data_bytes) {
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
  return Extent{static_cast<uint64_t>(begin), static_cast<uint64_t>(end), &name};
}

absl::StatusOr<Extent> ParseTensor(const std::string& name, const json& value, uint64_t data_start,
                                   uint64_t data_bytes, const std::string& what, SafetensorsHeader& header) {
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields,
                          JsonFields::Of(value, absl::StrCat(what, ": tensor ", Quoted(name))));
  INDUCT_ASSIGN_OR_RETURN(const std::string dtype, fields.Text("dtype"));
  const StoredType* type = FindStoredType(dtype);
  if (type == nullptr) return BadCheckpoint(absl::StrCat(fields.what(), ": unknown dtype ", Quoted(dtype)));
  INDUCT_ASSIGN_OR_RETURN(std::vector<int64_t> shape, ParseShape(fields));
  INDUCT_ASSIGN_OR_RETURN(const Extent extent, ParseOffsets(fields, name, data_bytes));
  const std::optional<uint64_t> bytes = BytesOf(shape, type->bits);
  if (bytes != extent.end - extent.begin) {
    return BadCheckpoint(absl::StrCat(fields.what(), ": its data_offsets span ", extent.end - extent.begin,
                                      " bytes, its shape and dtype ", dtype, " take ",
                                      bytes ? absl::StrCat(*bytes) : "no valid number"));
  }
  if (type->dtype) {
    header.tensors[name] = Tensor{*type->dtype, std::move(shape), data_start + extent.begin, *bytes};
  } else {
    header.unlisted[name] = dtype;
  }
  return extent;
}

// The extents must follow each other from 0 to `data_bytes`.
absl::Status CheckCoverage(std::vector<Extent> extents, uint64_t data_bytes, const std::string& what) {
  std::ranges::sort(extents, {}, [](const Extent& extent) { return std::pair(extent.begin, extent.end); });
  uint64_t covered = 0;
  for (const Extent& extent : extents) {
    if (extent.begin < covered) {
      return BadCheckpoint(
          absl::StrCat(what, ": tensor ", Quoted(*extent.name), " overlaps the tensor before it"));
    }
    if (extent.begin > covered) {
      return BadCheckpoint(absl::StrCat(what, ": a gap of ", extent.begin - covered, " bytes before tensor ",
                                        Quoted(*extent.name)));
    }
    covered = extent.end;
  }
  if (covered != data_bytes) {
    return BadCheckpoint(absl::StrCat(what, ": ", data_bytes - covered, " bytes after the last tensor"));
  }
  return absl::OkStatus();
}

// "__metadata__" may hold texts only. induct uses none of them.
absl::Status CheckMetadata(const json& value, const std::string& what) {
  const bool texts_only =
      value.is_object() && std::ranges::all_of(value, [](const json& entry) { return entry.is_string(); });
  if (!texts_only) return BadCheckpoint(absl::StrCat(what, ": __metadata__ must be an object of texts"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view text, uint64_t data_start,
                                                         uint64_t data_bytes, const std::string& what) {
  INDUCT_ASSIGN_OR_RETURN(const json document, ParseJson(text, absl::StrCat(what, ": header")));
  if (!document.is_object()) return BadCheckpoint(absl::StrCat(what, ": the header must be a JSON object"));
  SafetensorsHeader header;
  std::vector<Extent> extents;
  for (const auto& [name, value] : document.get_ref<const json::object_t&>()) {
    if (name == "__metadata__") {
      INDUCT_RETURN_IF_ERROR(CheckMetadata(value, what));
      continue;
    }
    INDUCT_ASSIGN_OR_RETURN(const Extent extent,
                            ParseTensor(name, value, data_start, data_bytes, what, header));
    extents.push_back(extent);
  }
  INDUCT_RETURN_IF_ERROR(CheckCoverage(std::move(extents), data_bytes, what));
  return header;
}

}  // namespace induct::checkpoint
