#include "common/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status.h"

namespace induct {
namespace {

static_assert(std::endian::native == std::endian::little, "the arrays are written as they lie in memory");

constexpr std::string_view kMagic("\x93NUMPY\x01\x00", 8);

template <typename T>
std::string WriteNpy(std::string_view descr, std::span<const T> values, std::span<const int64_t> shape) {
  std::string dict = absl::StrCat("{'descr': '", std::string(descr), "', 'fortran_order': False, 'shape': (",
                                  absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  // The header ends with a newline and pads the data to a multiple of 64 bytes.
  const size_t unpadded = kMagic.size() + 2 + dict.size() + 1;
  dict.append((64 - unpadded % 64) % 64, ' ');
  dict += '\n';
  std::string bytes(kMagic);
  bytes += static_cast<char>(dict.size() & 0xff);
  bytes += static_cast<char>(dict.size() >> 8);
  bytes += dict;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return bytes;
}

struct NpyArray {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
  std::string_view data;
};

absl::Status NotNpy(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("no readable .npy array: ", std::string(why)));
}

// The text between `key': ` and the end marker, in the header's Python dictionary.
std::string_view HeaderValue(std::string_view header, std::string_view key, std::string_view end) {
  const size_t at = header.find(absl::StrCat("'", std::string(key), "':"));
  if (at == std::string_view::npos) return {};
  const size_t begin = at + key.size() + 3;
  const size_t stop = header.find(end, begin);
  return stop == std::string_view::npos ? std::string_view() : header.substr(begin, stop - begin);
}

absl::StatusOr<std::vector<int64_t>> ParseShape(std::string_view text) {
  std::vector<int64_t> shape;
  const size_t open = text.find('(');
  if (open == std::string_view::npos) return NotNpy("its header has no shape");
  text.remove_prefix(open + 1);
  int64_t size = 1;
  for (absl::string_view part : absl::StrSplit(absl::string_view(text.data(), text.size()), ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty()) continue;
    int64_t n = 0;
    if (!absl::SimpleAtoi(part, &n) || n < 0 || (n > 0 && size > (int64_t{1} << 40) / n))
      return NotNpy("its shape is not usable");
    size *= std::max<int64_t>(n, 1);
    shape.push_back(n);
  }
  return shape;
}

absl::StatusOr<NpyArray> ParseNpy(std::string_view bytes) {
  if (bytes.size() < 12 || bytes.substr(0, 6) != kMagic.substr(0, 6))
    return NotNpy("it does not begin as one");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(bytes[i])); };
  const bool short_header = byte(6) == 1;
  const size_t begin = short_header ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (short_header ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > bytes.size() - begin) return NotNpy("it is truncated in its header");
  const std::string_view header = bytes.substr(begin, length);

  NpyArray array;
  for (const char c : HeaderValue(header, "descr", ",")) {
    if (c != '\'' && c != ' ') array.descr += c;
  }
  array.fortran_order = HeaderValue(header, "fortran_order", ",").find("True") != std::string_view::npos;
  INDUCT_ASSIGN_OR_RETURN(array.shape, ParseShape(HeaderValue(header, "shape", ")")));
  array.data = bytes.substr(begin + length);
  return array;
}

int64_t ElementCount(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

template <typename T>
int64_t LoadAs(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return static_cast<int64_t>(value);
}

struct IntegerFormat {
  std::string_view descr;
  size_t size;
  int64_t (*load)(const char*);
};
constexpr std::array<IntegerFormat, 8> kIntegerFormats = {{{"|i1", 1, LoadAs<int8_t>},
                                                           {"|u1", 1, LoadAs<uint8_t>},
                                                           {"<i2", 2, LoadAs<int16_t>},
                                                           {"<u2", 2, LoadAs<uint16_t>},
                                                           {"<i4", 4, LoadAs<int32_t>},
                                                           {"<u4", 4, LoadAs<uint32_t>},
                                                           {"<i8", 8, LoadAs<int64_t>},
                                                           {"<u8", 8, LoadAs<uint64_t>}}};

}  // namespace

std::string NpyBytes(std::span<const float> values, std::span<const int64_t> shape) {
  return WriteNpy("<f4", values, shape);
}
std::string NpyBytes(std::span<const uint32_t> values, std::span<const int64_t> shape) {
  return WriteNpy("<u4", values, shape);
}

absl::StatusOr<IntegerMatrix> ParseIntegerNpy(std::string_view bytes) {
  INDUCT_ASSIGN_OR_RETURN(const NpyArray array, ParseNpy(bytes));
  const auto format = std::find_if(kIntegerFormats.begin(), kIntegerFormats.end(),
                                   [&](const IntegerFormat& f) { return f.descr == array.descr; });
  if (format == kIntegerFormats.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("an array of whole numbers is needed, this one holds ", array.descr));
  }
  if (array.shape.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("a 2-D array [rows, tokens] is needed, this one has the shape (",
                     absl::StrJoin(array.shape, ", "), ")"));
  }
  IntegerMatrix matrix{.rows = array.shape[0], .columns = array.shape[1]};
  const size_t count = static_cast<size_t>(ElementCount(array.shape));
  if (array.data.size() < count * format->size) return NotNpy("it is truncated in its data");
  matrix.values.resize(count);
  for (int64_t r = 0; r < matrix.rows; ++r) {
    for (int64_t c = 0; c < matrix.columns; ++c) {
      const int64_t at = array.fortran_order ? c * matrix.rows + r : r * matrix.columns + c;
      matrix.values[r * matrix.columns + c] = format->load(array.data.data() + at * format->size);
    }
  }
  return matrix;
}

absl::StatusOr<FloatArray> ParseFloatNpy(std::string_view bytes) {
  INDUCT_ASSIGN_OR_RETURN(const NpyArray array, ParseNpy(bytes));
  if (array.descr != "<f4" || array.fortran_order) {
    return absl::InvalidArgumentError("a float32 array in C order is needed");
  }
  FloatArray result{.shape = array.shape};
  const size_t count = static_cast<size_t>(ElementCount(array.shape));
  if (array.data.size() < count * sizeof(float)) return NotNpy("it is truncated in its data");
  result.values.resize(count);
  std::memcpy(result.values.data(), array.data.data(), count * sizeof(float));
  return result;
}

}  // namespace induct
