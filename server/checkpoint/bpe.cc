#include "server/checkpoint/bpe.h"

#include <queue>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/byte_alphabet.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

constexpr int32_t kNone = -1;
constexpr int32_t kRemoved = -1;

uint64_t PairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// A merge that was possible when it was queued. What it would have made tells whether it still is.
struct Candidate {
  uint32_t rank;
  int32_t position;  // of the left symbol
  int32_t product;

  bool operator>(const Candidate& other) const {
    return std::tie(rank, position) > std::tie(other.rank, other.position);
  }
};

absl::StatusOr<int32_t> IdOf(const std::string& token, size_t rank, const TokenizerDefinition& definition) {
  const auto found = definition.vocabulary.find(token);
  if (found != definition.vocabulary.end()) return found->second;
  return BadCheckpoint(absl::StrCat("tokenizer.json: merge ", rank, " needs ", Quoted(token),
                                    ", which is not in the vocabulary"));
}

// Bytes that no valid UTF-8 holds; vocabularies may lack them.
bool IsUnusedByUtf8(int byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

}  // namespace

absl::StatusOr<Bpe> Bpe::Create(const TokenizerDefinition& definition) {
  Bpe bpe;
  bpe.byte_ids_.fill(kNone);
  for (const auto& [token, id] : definition.vocabulary) {
    const std::optional<std::string> bytes = BytesOfWritten(token);
    if (bytes && bytes->size() == 1) bpe.byte_ids_[static_cast<uint8_t>(bytes->front())] = id;
  }
  for (int byte = 0; byte < 256; ++byte) {
    if (definition.unk_token.empty() || bpe.byte_ids_[byte] != kNone || IsUnusedByUtf8(byte)) continue;
    return UnsupportedModel(absl::StrCat("tokenizer.json: unk_token ", Quoted(definition.unk_token),
                                         " with a vocabulary that lacks byte ", byte, " is not supported"));
  }
  bpe.merges_.reserve(definition.merges.size());
  for (size_t rank = 0; rank < definition.merges.size(); ++rank) {
    const auto& [left, right] = definition.merges[rank];
    INDUCT_ASSIGN_OR_RETURN(const int32_t left_id, IdOf(left, rank, definition));
    INDUCT_ASSIGN_OR_RETURN(const int32_t right_id, IdOf(right, rank, definition));
    INDUCT_ASSIGN_OR_RETURN(const int32_t product, IdOf(left + right, rank, definition));
    bpe.merges_.insert_or_assign(PairKey(left_id, right_id), Merge{static_cast<uint32_t>(rank), product});
  }
  return bpe;
}

std::optional<Bpe::Merge> Bpe::FindMerge(int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  if (found == merges_.end()) return std::nullopt;
  return found->second;
}

std::vector<Bpe::Symbol> Bpe::BytesAsSymbols(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char byte : word) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    if (id == kNone) continue;
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({.id = id, .previous = position - 1, .next = position + 1});
  }
  if (!symbols.empty()) symbols.back().next = kNone;
  return symbols;
}

void Bpe::MergeAll(std::vector<Symbol>& symbols) const {
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto enqueue = [&](int32_t left) {
    if (left == kNone || symbols[left].next == kNone) return;
    const auto merge = FindMerge(symbols[left].id, symbols[symbols[left].next].id);
    if (merge) queue.push({merge->rank, left, merge->product});
  };
  for (size_t i = 0; i < symbols.size(); ++i) enqueue(static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate candidate = queue.top();
    queue.pop();
    Symbol& left = symbols[candidate.position];
    if (left.id == kRemoved || left.next == kNone) continue;
    Symbol& right = symbols[left.next];
    const auto merge = FindMerge(left.id, right.id);
    if (!merge || merge->product != candidate.product) continue;  // a neighbour has changed since
    left.id = merge->product;
    left.next = right.next;
    right.id = kRemoved;
    if (left.next != kNone) symbols[left.next].previous = candidate.position;
    enqueue(left.previous);
    enqueue(candidate.position);
  }
}

void Bpe::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<Symbol> symbols = BytesAsSymbols(word);
  MergeAll(symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.id != kRemoved) ids.push_back(symbol.id);
  }
}

}  // namespace induct::checkpoint
