// Splits text into the words that byte-pair encoding never crosses.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// GPT-2's regular expression, compiled. Immutable and safe for concurrent use.
class PreTokenizer {
 public:
  static absl::StatusOr<PreTokenizer> Create();

  // Calls `word` with each piece of `text` in order: the expression's matches and what lies between them.
  // REQUIRES: valid UTF-8. RESOURCE_EXHAUSTED where matching exceeds PCRE2's limits.
  absl::Status Split(std::string_view text, const std::function<void(std::string_view)>& word) const;

 private:
  // A compiled PCRE2 pattern; the library's type stays in the source file.
  explicit PreTokenizer(std::shared_ptr<void> code) : code_(std::move(code)) {}

  std::shared_ptr<void> code_;
};

}  // namespace induct::checkpoint
