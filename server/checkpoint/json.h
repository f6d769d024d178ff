// JSON from untrusted files: a parser that hostile text cannot make overflow the stack, and checked access to
// the result.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// Deeper than any file of a checkpoint nests.
inline constexpr int kMaxJsonDepth = 64;

// Parses `text`, which errors call `what`. BAD_CHECKPOINT for text that is not JSON, nests deeper than
// `max_depth`, or has an object with the same key twice (readers would differ in which one counts).
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& what,
                                         int max_depth = kMaxJsonDepth);

// The fields of a JSON object, each read with its type and range checked. A field that is null counts as
// absent. Errors name the object and the key. A view: the document must outlive it.
class JsonFields {
 public:
  // BAD_CHECKPOINT where `value` is no object.
  static absl::StatusOr<JsonFields> Of(const nlohmann::json& value, const std::string& what);

  const std::string& what() const { return what_; }

  // nullptr where the key is absent or null.
  const nlohmann::json* Find(const std::string& key) const;

  // A whole number in [min, max], written as such (128, not 128.0 or "128").
  absl::StatusOr<int64_t> Integer(const std::string& key, int64_t min, int64_t max) const;
  absl::StatusOr<int64_t> IntegerOr(const std::string& key, int64_t min, int64_t max, int64_t fallback) const;
  // A finite number.
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
