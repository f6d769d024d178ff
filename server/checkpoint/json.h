// JSON from untrusted files: a parser that hostile text cannot make overflow the stack, and checked access to
// the result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// Bounds that no file of a checkpoint comes near. A parsed value costs up to 160 bytes, whatever its text
// takes: with these, parsing takes at most twice the text and 50 MB.
inline constexpr int kMaxJsonDepth = 64;
inline constexpr size_t kMaxJsonValues = size_t{1} << 18;      // kept at once, keys not counted
inline constexpr size_t kMaxJsonTokenBytes = size_t{1} << 20;  // from one text or number to the next

// A part of a document that has too many members to keep: ParseJson hands each over as soon as it is read.
struct JsonStream {
  std::vector<std::string> path;  // keys from the root to the object or list; none: the root itself
  // Called with every member of that object (or, with an empty key, element of that list) in the text's
  // order. A key may come twice: that is `take`'s to refuse. An error ends the parsing.
  std::function<absl::Status(const std::string& key, const nlohmann::json& value)> take;
};

// Parses `text`, which errors call `what`. BAD_CHECKPOINT for text that is not JSON, exceeds the bounds
// above, or has an object with the same key twice (readers would differ in which one counts). Streamed
// objects and lists are empty in the result. No stream may lie within another.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& what,
                                         std::span<const JsonStream> streams = {});

// The fields of a JSON object, each read with its type and range checked. A field that is null counts as
// absent. Errors name the object and the key. A view: the document must outlive it.
class JsonFields {
 public:
  // BAD_CHECKPOINT where `value` is no object.
  static absl::StatusOr<JsonFields> Of(const nlohmann::json& value, const std::string& what);

  const std::string& what() const { return what_; }

  // Whether the key is there, null or not.
  bool Has(const std::string& key) const { return object_->contains(key); }
  // nullptr where the key is absent or null.
  const nlohmann::json* Find(const std::string& key) const;

  // A whole number in [min, max], written as such (128, not 128.0 or "128").
  absl::StatusOr<int64_t> Integer(const std::string& key, int64_t min, int64_t max) const;
  absl::StatusOr<int64_t> IntegerOr(const std::string& key, int64_t min, int64_t max, int64_t fallback) const;
  // A finite number.
  absl::StatusOr<double> Number(const std::string& key) const;
  absl::StatusOr<double> NumberOr(const std::string& key, double fallback) const;
  absl::StatusOr<bool> FlagOr(const std::string& key, bool fallback) const;
  absl::StatusOr<std::string> Text(const std::string& key) const;
  absl::StatusOr<std::string> TextOr(const std::string& key, const std::string& fallback) const;
  // The object under `key`.
  absl::StatusOr<JsonFields> Object(const std::string& key) const;

  // BAD_CHECKPOINT: "<what>: <key> <complaint>, not <value>".
  absl::Status Wrong(const std::string& key, const std::string& complaint) const;

 private:
  JsonFields(const nlohmann::json* object, const std::string& what) : object_(object), what_(what) {}

  const nlohmann::json* object_;
  std::string what_;
};

// Whether `value` is a whole number in [min, max]; `out` is set then.
bool IsIntegerIn(const nlohmann::json& value, int64_t min, int64_t max, int64_t& out);

}  // namespace induct::checkpoint
