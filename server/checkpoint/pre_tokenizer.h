// Splits text into the words that byte-pair encoding never crosses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/checkpoint/tokenizer_json.h"
#include "server/checkpoint/word_pattern.h"

namespace induct::checkpoint {

// The splits of a tokenizer.json, compiled. Immutable and safe for concurrent use.
class PreTokenizer {
 public:
  // UNSUPPORTED_MODEL where a pattern cannot be compiled.
  static absl::StatusOr<PreTokenizer> Create(const PreTokenizerDefinition& definition);

  using PieceSink = absl::FunctionRef<absl::Status(std::string_view)>;

  // Calls `word` with each word of `text` in order, until one is refused; words live during the call only.
  // REQUIRES: valid UTF-8.
  // RESOURCE_EXHAUSTED where matching exceeds its limits.
  absl::Status Split(std::string_view text, MatchState& state, PieceSink word) const;

 private:
  struct Step {
    WordPattern pattern;
    SplitBehavior behavior;
    bool invert;
  };

  static absl::StatusOr<Step> Compile(const SplitDefinition& definition);
  static absl::Status Run(const Step& step, std::string_view text, MatchState& state, PieceSink piece);
  absl::Status RunFrom(size_t step, std::string_view text, MatchState& state, PieceSink word) const;
  absl::Status RunByteLevel(std::string_view text, MatchState& state, PieceSink word) const;

  std::vector<Step> steps_;
  bool add_prefix_space_ = false;
  std::optional<Step> byte_level_;  // the last step, which sees the prefixed space
};

}  // namespace induct::checkpoint
