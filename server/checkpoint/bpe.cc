#include "server/checkpoint/bpe.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/checkpoint/byte_alphabet.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

constexpr int32_t kNoSymbol = -1;
constexpr int32_t kRemoved = -1;

// Bytes that no valid UTF-8 holds; vocabularies may lack them.
bool IsUnusedByUtf8(int byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

bool GoesLater(const BpeState::Candidate& a, const BpeState::Candidate& b) {
  return std::tie(a.rank, a.position) > std::tie(b.rank, b.position);
}

}  // namespace

absl::StatusOr<Bpe> Bpe::Create(const Vocabulary& vocabulary, MergeTable merges,
                                const std::string& unk_token) {
  Bpe bpe;
  bpe.merges_ = std::move(merges);
  for (int byte = 0; byte < 256; ++byte) {
    const std::optional<int32_t> id =
        vocabulary.Find(WrittenOfBytes(std::string(1, static_cast<char>(byte))));
    if (!id && !unk_token.empty() && !IsUnusedByUtf8(byte)) {
      return UnsupportedModel(absl::StrCat("tokenizer.json: unk_token ", Quoted(unk_token),
                                           " with a vocabulary that lacks byte ", byte, " is not supported"));
    }
    bpe.byte_ids_[static_cast<size_t>(byte)] = id.value_or(kNoSymbol);
  }
  return bpe;
}

void Bpe::StartSymbols(std::string_view word, std::vector<BpeState::Symbol>& symbols) const {
  symbols.clear();
  symbols.reserve(word.size());
  for (const char byte : word) {
    const int32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    if (id == kNoSymbol) continue;
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({.id = id, .previous = position - 1, .next = position + 1});
  }
  if (!symbols.empty()) symbols.back().next = kNoSymbol;
}

// Queues the merge of the symbol at `left` with its right neighbour, where there is one.
void Bpe::Enqueue(int32_t left, BpeState& state) const {
  if (left == kNoSymbol || state.symbols[left].next == kNoSymbol) return;
  const Merge* merge = merges_.Find(state.symbols[left].id, state.symbols[state.symbols[left].next].id);
  if (merge == nullptr) return;
  state.queue.push_back({merge->rank, left, merge->product});
  std::ranges::push_heap(state.queue, GoesLater);
}

void Bpe::MergeAll(BpeState& state) const {
  state.queue.clear();
  for (size_t i = 0; i < state.symbols.size(); ++i) Enqueue(static_cast<int32_t>(i), state);
  while (!state.queue.empty()) {
    std::ranges::pop_heap(state.queue, GoesLater);
    const BpeState::Candidate candidate = state.queue.back();
    state.queue.pop_back();
    BpeState::Symbol& left = state.symbols[candidate.position];
    if (left.id == kRemoved || left.next == kNoSymbol) continue;
    BpeState::Symbol& right = state.symbols[left.next];
    const Merge* merge = merges_.Find(left.id, right.id);
    if (merge == nullptr || merge->product != candidate.product) continue;  // a neighbour has changed since
    left.id = merge->product;
    left.next = right.next;
    right.id = kRemoved;
    if (left.next != kNoSymbol) state.symbols[left.next].previous = candidate.position;
    Enqueue(left.previous, state);
    Enqueue(candidate.position, state);
  }
}

void Bpe::Encode(std::string_view word, BpeState& state, std::vector<int32_t>& ids) const {
  StartSymbols(word, state.symbols);
  MergeAll(state);
  for (const BpeState::Symbol& symbol : state.symbols) {
    if (symbol.id != kRemoved) ids.push_back(symbol.id);
  }
}

}  // namespace induct::checkpoint
