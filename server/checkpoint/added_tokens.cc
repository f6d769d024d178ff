#include "server/checkpoint/added_tokens.h"

#include <utility>

#include "common/status.h"
#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

constexpr int32_t kNoToken = -1;

uint64_t ChildKey(int32_t node, char byte) {
  return static_cast<uint64_t>(node) << 8 | static_cast<uint8_t>(byte);
}

bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  const bool joined_before =
      begin > 0 && IsWordCharacter(CodePointAt(text, PreviousCodePoint(text, begin)).value);
  const bool joined_behind = end < text.size() && IsWordCharacter(CodePointAt(text, end).value);
  return !joined_before && !joined_behind;
}

// Where the white space that ends at `at` begins, but not before `limit`.
size_t WhiteSpaceBegin(std::string_view text, size_t at, size_t limit) {
  while (at > limit) {
    const size_t previous = PreviousCodePoint(text, at);
    if (!IsWhiteSpace(CodePointAt(text, previous).value)) break;
    at = previous;
  }
  return at;
}

size_t WhiteSpaceEnd(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint point = CodePointAt(text, at);
    if (!IsWhiteSpace(point.value)) break;
    at += point.bytes;
  }
  return at;
}

}  // namespace

AddedTokenSet::AddedTokenSet() : token_at_node_{kNoToken} {}

void AddedTokenSet::Add(const AddedToken& token, std::string_view content) {
  if (content.empty()) return;
  const size_t first = static_cast<size_t>(static_cast<uint8_t>(content[0])) << 8;
  for (size_t second = 0; second < 256; ++second) {
    if (content.size() == 1 || static_cast<uint8_t>(content[1]) == second) starts_.set(first | second);
  }
  int32_t node = 0;
  for (const char byte : content) {
    const auto fresh = static_cast<int32_t>(token_at_node_.size());
    int32_t& child = children_.try_emplace(ChildKey(node, byte), kNoToken).first->second;
    if (child == kNoToken) {
      child = fresh;
      token_at_node_.push_back(kNoToken);
    }
    node = child;
  }
  if (token_at_node_[node] != kNoToken) return;  // of two tokens that look alike the first counts
  token_at_node_[node] = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

std::optional<AddedTokenSet::Match> AddedTokenSet::LongestAt(std::string_view text, size_t at) const {
  std::optional<Match> longest;
  if (!MayStart(text, at)) return longest;
  int32_t node = 0;
  for (size_t end = at; end < text.size();) {
    const auto child = children_.find(ChildKey(node, text[end++]));
    if (child == children_.end()) break;
    node = child->second;
    if (token_at_node_[node] != kNoToken) longest = Match{at, end, &tokens_[token_at_node_[node]]};
  }
  return longest;
}

absl::Status AddedTokenSet::Split(std::string_view text,
                                  absl::FunctionRef<absl::Status(const TextPiece&)> piece) const {
  size_t done = 0;
  size_t stripped_to = 0;  // the end of the last white space that an rstrip walked over
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    const std::optional<Match> match = LongestAt(text, at);
    at = match ? match->end : at + 1;
    if (!match || (match->token->single_word && !StandsAlone(text, match->begin, match->end))) continue;
    const size_t begin = match->token->lstrip ? WhiteSpaceBegin(text, match->begin, done) : match->begin;
    size_t end = match->end;
    if (match->token->rstrip) end = stripped_to = end < stripped_to ? stripped_to : WhiteSpaceEnd(text, end);
    if (done < begin) INDUCT_RETURN_IF_ERROR(piece({std::nullopt, text.substr(done, begin - done)}));
    INDUCT_RETURN_IF_ERROR(piece({match->token->id, {}}));
    done = end;
  }
  return done < text.size() ? piece({std::nullopt, text.substr(done)}) : absl::OkStatus();
}

}  // namespace induct::checkpoint
