// A regular expression that splits text, compiled by PCRE2 (with its JIT where the library has one).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace induct::checkpoint {

// What matching writes to. One a thread at a time, for all patterns, and for text after text.
class MatchState {
 public:
  MatchState();
  ~MatchState();
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;

  // Allows the matching from here on what `bytes` of text may take: steps and time.
  void Start(size_t bytes);

 private:
  friend class WordPattern;
  struct Pcre2;  // the library's types stay in the source file

  std::unique_ptr<Pcre2> pcre2_;
  std::chrono::steady_clock::time_point deadline_;
  unsigned calls_ = 0;
};

// Immutable and safe for concurrent use.
class WordPattern {
 public:
  // `pattern` in PCRE2's syntax. UNSUPPORTED_MODEL where PCRE2 cannot compile it, or it may match the empty
  // text; errors quote `source`, the pattern as the file has it.
  static absl::StatusOr<WordPattern> Create(const std::string& pattern, std::string_view source);

  // The leftmost match at or after `from`; never empty. REQUIRES: valid UTF-8, `from` at a code point's
  // start. RESOURCE_EXHAUSTED where matching exceeds PCRE2's limits or the state's clock: a pattern may need
  // exponential time.
  struct Range {
    size_t begin, end;
  };
  absl::StatusOr<std::optional<Range>> Find(std::string_view text, size_t from, MatchState& state) const;

 private:
  explicit WordPattern(std::shared_ptr<const void> code) : code_(std::move(code)) {}

  std::shared_ptr<const void> code_;
};

}  // namespace induct::checkpoint
