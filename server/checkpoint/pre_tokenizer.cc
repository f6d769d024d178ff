#include "server/checkpoint/pre_tokenizer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::checkpoint {
namespace {

// Whether a piece continues the one before it.
bool Joins(SplitBehavior behavior, bool previous_is_match, bool is_match) {
  switch (behavior) {
    case SplitBehavior::kIsolated:
    case SplitBehavior::kRemoved:
      return false;
    case SplitBehavior::kMergedWithPrevious:
      return is_match && !previous_is_match;
    case SplitBehavior::kMergedWithNext:
      return !is_match && previous_is_match;
    case SplitBehavior::kContiguous:
      return is_match == previous_is_match;
  }
  return false;
}

// Puts matches and what lies between them together as a behaviour asks, and passes the pieces on.
class PieceJoiner {
 public:
  PieceJoiner(std::string_view text, SplitBehavior behavior,
              absl::FunctionRef<absl::Status(std::string_view)> piece)
      : text_(text), behavior_(behavior), piece_(piece) {}

  // The next part of the text, up to `end`.
  absl::Status Add(size_t end, bool is_match) {
    if (begin_ < end_ && !Joins(behavior_, is_match_, is_match)) INDUCT_RETURN_IF_ERROR(Flush());
    if (behavior_ == SplitBehavior::kRemoved && is_match) begin_ = end;
    end_ = end;
    is_match_ = is_match;
    return absl::OkStatus();
  }

  // Passes on what has been gathered.
  absl::Status Flush() {
    const std::string_view gathered = text_.substr(begin_, end_ - begin_);
    begin_ = end_;
    return gathered.empty() ? absl::OkStatus() : piece_(gathered);
  }

 private:
  std::string_view text_;
  SplitBehavior behavior_;
  absl::FunctionRef<absl::Status(std::string_view)> piece_;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool is_match_ = false;  // of the last part
};

}  // namespace

absl::StatusOr<PreTokenizer::Step> PreTokenizer::Compile(const SplitDefinition& definition) {
  INDUCT_ASSIGN_OR_RETURN(WordPattern pattern, WordPattern::Create(definition.pattern, definition.source));
  return Step{std::move(pattern), definition.behavior, definition.invert};
}

absl::StatusOr<PreTokenizer> PreTokenizer::Create(const PreTokenizerDefinition& definition) {
  PreTokenizer result;
  for (const SplitDefinition& split : definition.splits) {
    INDUCT_ASSIGN_OR_RETURN(Step step, Compile(split));
    result.steps_.push_back(std::move(step));
  }
  result.add_prefix_space_ = definition.add_prefix_space;
  if (definition.byte_level_split) {
    INDUCT_ASSIGN_OR_RETURN(result.byte_level_, Compile(*definition.byte_level_split));
  }
  return result;
}

absl::Status PreTokenizer::Split(std::string_view text, MatchState& state, PieceSink word) const {
  return RunFrom(0, text, state, word);
}

absl::Status PreTokenizer::RunFrom(size_t step, std::string_view text, MatchState& state,
                                   PieceSink word) const {
  if (step == steps_.size()) return RunByteLevel(text, state, word);
  return Run(steps_[step], text, state,
             [&](std::string_view piece) { return RunFrom(step + 1, piece, state, word); });
}

absl::Status PreTokenizer::RunByteLevel(std::string_view text, MatchState& state, PieceSink word) const {
  std::string prefixed;
  if (add_prefix_space_ && !text.starts_with(' ')) text = prefixed = absl::StrCat(" ", std::string(text));
  return byte_level_ ? Run(*byte_level_, text, state, word) : word(text);
}

absl::Status PreTokenizer::Run(const Step& step, std::string_view text, MatchState& state, PieceSink piece) {
  PieceJoiner joiner(text, step.behavior, piece);
  size_t done = 0;
  while (done < text.size()) {
    INDUCT_ASSIGN_OR_RETURN(const auto match, step.pattern.Find(text, done, state));
    const size_t begin = match ? match->begin : text.size();
    if (done < begin) INDUCT_RETURN_IF_ERROR(joiner.Add(begin, step.invert));
    if (match) INDUCT_RETURN_IF_ERROR(joiner.Add(match->end, !step.invert));
    done = match ? match->end : text.size();  // no match is empty, so this advances
  }
  return joiner.Flush();
}

}  // namespace induct::checkpoint
