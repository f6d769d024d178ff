#include "server/checkpoint/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/checkpoint/added_tokens.h"
#include "server/checkpoint/bpe.h"
#include "server/checkpoint/byte_alphabet.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/normalizer.h"
#include "server/checkpoint/pre_tokenizer.h"
#include "server/checkpoint/tokenizer_json.h"
#include "server/checkpoint/vocabulary.h"
#include "server/checkpoint/word_cache.h"

namespace induct::checkpoint {
namespace {

// Positions within a text are 32 bits wide.
constexpr size_t kMaxTextBytes = size_t{1} << 30;
// Merging takes some 40 bytes for each byte of a word, of which all but this much is given back.
constexpr size_t kMaxWordBytes = size_t{4} << 20;
constexpr size_t kKeptWordBytes = size_t{64} << 10;

// Added tokens have ids of their own, or stand in the vocabulary under the same id.
absl::Status CheckAddedTokens(const TokenizerDefinition& definition) {
  absl::flat_hash_map<int32_t, std::string_view> contents;
  absl::flat_hash_map<std::string_view, int32_t> ids;
  for (const AddedToken& token : definition.added_tokens) {
    const std::optional<int32_t> known_id = definition.vocabulary.Find(token.content);
    const std::optional<std::string_view> known_content = definition.vocabulary.TextOf(token.id);
    const bool one_id = known_id.value_or(token.id) == token.id &&
                        ids.emplace(token.content, token.id).first->second == token.id;
    const bool one_content = known_content.value_or(token.content) == token.content &&
                             contents.emplace(token.id, token.content).first->second == token.content;
    if (!one_id || !one_content) {
      return BadCheckpoint(absl::StrCat("tokenizer.json: added token ", Quoted(token.content), " with id ",
                                        token.id, " contradicts another entry of that text or id"));
    }
  }
  return absl::OkStatus();
}

// What one Encode at a time writes to.
struct EncodingState {
  MatchState match;
  BpeState bpe;
  WordCache words;
};

// Lends states out: there are never more than calls that ran at once. Those that have grown are not kept.
class StatePool {
 public:
  std::unique_ptr<EncodingState> Take() {
    absl::MutexLock lock(&mutex_);
    if (idle_.empty()) return std::make_unique<EncodingState>();
    std::unique_ptr<EncodingState> state = std::move(idle_.back());
    idle_.pop_back();
    return state;
  }
  void GiveBack(std::unique_ptr<EncodingState> state) {
    if (state->bpe.symbols.capacity() > kKeptWordBytes) return;
    absl::MutexLock lock(&mutex_);
    idle_.push_back(std::move(state));
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<EncodingState>> idle_ ABSL_GUARDED_BY(mutex_);
};

class ByteLevelBpeTokenizer final : public Tokenizer {
 public:
  ByteLevelBpeTokenizer(TokenizerDefinition definition, Bpe bpe, PreTokenizer pre_tokenizer);

  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text) const override;
  std::string Decode(std::span<const int32_t> ids) const override;
  int32_t size() const override { return size_; }
  const std::vector<int32_t>& ordinary_ids() const override { return ordinary_ids_; }
  std::optional<int32_t> Find(std::string_view token) const override;
  std::optional<int32_t> bos_id() const override { return bos_id_; }

 private:
  using Ids = std::vector<int32_t>;

  // From the text between added tokens of the raw text; then between those of the normalised one.
  absl::Status EncodeRaw(std::string_view text, EncodingState& state, Ids& ids) const;
  absl::Status EncodeNormalized(std::string_view text, EncodingState& state, Ids& ids) const;
  absl::Status EncodeWord(std::string_view word, EncodingState& state, Ids& ids) const;
  void EncodeNewWord(std::string_view word, EncodingState& state, Ids& ids) const;

  bool nfc_;
  bool ignore_merges_;
  std::optional<int32_t> bos_id_;
  Vocabulary vocabulary_;  // as written, in the byte alphabet
  Bpe bpe_;
  PreTokenizer pre_tokenizer_;
  AddedTokenSet raw_tokens_;
  AddedTokenSet normalized_tokens_;
  absl::flat_hash_map<std::string, int32_t> added_ids_;
  absl::flat_hash_map<int32_t, std::string> added_contents_;
  std::vector<int32_t> ordinary_ids_;
  int32_t size_ = 0;
  mutable StatePool states_;
};

ByteLevelBpeTokenizer::ByteLevelBpeTokenizer(TokenizerDefinition definition, Bpe bpe,
                                             PreTokenizer pre_tokenizer)
    : nfc_(definition.nfc),
      ignore_merges_(definition.ignore_merges),
      bos_id_(definition.bos_id),
      vocabulary_(std::move(definition.vocabulary)),
      bpe_(std::move(bpe)),
      pre_tokenizer_(std::move(pre_tokenizer)) {
  for (const AddedToken& token : definition.added_tokens) {
    if (token.normalized) {
      normalized_tokens_.Add(token, nfc_ ? NormalizeNfc(token.content) : token.content);
    } else {
      raw_tokens_.Add(token, token.content);
    }
    added_ids_.emplace(token.content, token.id);
    added_contents_.emplace(token.id, token.content);
    size_ = std::max(size_, token.id + 1);
  }
  for (size_t index = 0; index < vocabulary_.size(); ++index) {
    const int32_t id = vocabulary_.id(index);
    size_ = std::max(size_, id + 1);
    if (!added_contents_.contains(id)) ordinary_ids_.push_back(id);
  }
  std::ranges::sort(ordinary_ids_);
}

absl::StatusOr<std::vector<int32_t>> ByteLevelBpeTokenizer::Encode(std::string_view text) const {
  if (!IsUtf8(text)) return absl::InvalidArgumentError("the text is not valid UTF-8");
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a text of ", text.size(), " bytes; at most ", kMaxTextBytes, " are allowed"));
  }
  std::unique_ptr<EncodingState> state = states_.Take();
  state->match.Start(text.size());
  Ids ids;
  const absl::Status status = raw_tokens_.Split(text, [&](const TextPiece& piece) {
    if (!piece.id) return EncodeRaw(piece.text, *state, ids);
    ids.push_back(*piece.id);
    return absl::OkStatus();
  });
  states_.GiveBack(std::move(state));
  INDUCT_RETURN_IF_ERROR(status);
  return ids;
}

absl::Status ByteLevelBpeTokenizer::EncodeRaw(std::string_view text, EncodingState& state, Ids& ids) const {
  std::string normalized;
  if (nfc_ && !IsSurelyNfc(text)) text = normalized = NormalizeNfc(text);
  return normalized_tokens_.Split(text, [&](const TextPiece& piece) {
    if (!piece.id) return EncodeNormalized(piece.text, state, ids);
    ids.push_back(*piece.id);
    return absl::OkStatus();
  });
}

absl::Status ByteLevelBpeTokenizer::EncodeNormalized(std::string_view text, EncodingState& state,
                                                     Ids& ids) const {
  return pre_tokenizer_.Split(text, state.match,
                              [&](std::string_view word) { return EncodeWord(word, state, ids); });
}

absl::Status ByteLevelBpeTokenizer::EncodeWord(std::string_view word, EncodingState& state, Ids& ids) const {
  if (const auto known = state.words.Find(word)) {
    ids.insert(ids.end(), known->begin(), known->end());
    return absl::OkStatus();
  }
  if (word.size() > kMaxWordBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the text has a word of ", word.size(), " bytes; at most ",
                                                   kMaxWordBytes, " are allowed"));
  }
  const size_t before = ids.size();
  EncodeNewWord(word, state, ids);
  state.words.Store(word, std::span(ids).subspan(before));
  return absl::OkStatus();
}

void ByteLevelBpeTokenizer::EncodeNewWord(std::string_view word, EncodingState& state, Ids& ids) const {
  const std::optional<int32_t> whole = ignore_merges_ ? vocabulary_.Find(WrittenOfBytes(word)) : std::nullopt;
  if (whole) {
    ids.push_back(*whole);
  } else {
    bpe_.Encode(word, state.bpe, ids);
  }
}

std::string ByteLevelBpeTokenizer::Decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (const auto added = added_contents_.find(id); added != added_contents_.end()) {
      bytes += added->second;
    } else if (const std::optional<std::string_view> written = vocabulary_.TextOf(id)) {
      bytes += BytesOfWritten(*written).value_or(std::string(*written));
    }
  }
  return bytes;
}

std::optional<int32_t> ByteLevelBpeTokenizer::Find(std::string_view token) const {
  const auto added = added_ids_.find(std::string(token));
  return added != added_ids_.end() ? added->second : vocabulary_.Find(token);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(std::string_view json) {
  INDUCT_ASSIGN_OR_RETURN(TokenizerDefinition definition, ParseTokenizerJson(json));
  INDUCT_RETURN_IF_ERROR(CheckAddedTokens(definition));
  INDUCT_ASSIGN_OR_RETURN(
      Bpe bpe, Bpe::Create(definition.vocabulary, std::move(definition.merges), definition.unk_token));
  INDUCT_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create(definition.pre_tokenizer));
  return std::make_unique<ByteLevelBpeTokenizer>(std::move(definition), std::move(bpe),
                                                 std::move(pre_tokenizer));
}

}  // namespace induct::checkpoint
