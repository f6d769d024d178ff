#include "server/checkpoint/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/added_tokens.h"
#include "server/checkpoint/bpe.h"
#include "server/checkpoint/byte_alphabet.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/normalizer.h"
#include "server/checkpoint/pre_tokenizer.h"
#include "server/checkpoint/tokenizer_json.h"
#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

using Vocabulary = absl::flat_hash_map<std::string, int32_t>;

// Positions within a text are 32 bits wide.
constexpr size_t kMaxTextBytes = size_t{1} << 30;

// Added tokens have ids of their own, or stand in the vocabulary under the same id.
absl::Status CheckAddedTokens(const TokenizerDefinition& definition) {
  absl::flat_hash_map<int32_t, std::string_view> contents;
  for (const auto& [token, id] : definition.vocabulary) contents.emplace(id, token);
  absl::flat_hash_map<std::string_view, int32_t> ids;
  for (const AddedToken& token : definition.added_tokens) {
    const auto in_vocabulary = definition.vocabulary.find(token.content);
    const int32_t known_id = in_vocabulary == definition.vocabulary.end() ? token.id : in_vocabulary->second;
    const bool one_id =
        known_id == token.id && ids.emplace(token.content, token.id).first->second == token.id;
    const bool one_content = contents.emplace(token.id, token.content).first->second == token.content;
    if (!one_id || !one_content) {
      return BadCheckpoint(absl::StrCat("tokenizer.json: added token ", Quoted(token.content), " with id ",
                                        token.id, " contradicts another entry of that text or id"));
    }
  }
  return absl::OkStatus();
}

class ByteLevelBpeTokenizer final : public Tokenizer {
 public:
  ByteLevelBpeTokenizer(TokenizerDefinition definition, Bpe bpe, PreTokenizer pre_tokenizer);

  absl::StatusOr<std::vector<int32_t>> Encode(std::string_view text) const override;
  std::string Decode(std::span<const int32_t> ids) const override;
  int32_t size() const override { return size_; }
  const std::vector<int32_t>& ordinary_ids() const override { return ordinary_ids_; }
  std::optional<int32_t> Find(std::string_view token) const override;

 private:
  // From the text between added tokens of the raw text; then between those of the normalised one.
  absl::Status EncodeRaw(std::string_view text, std::vector<int32_t>& ids) const;
  absl::Status EncodeNormalized(std::string_view text, std::vector<int32_t>& ids) const;

  bool nfc_;
  bool add_prefix_space_;
  bool split_words_;
  Bpe bpe_;
  PreTokenizer pre_tokenizer_;
  AddedTokenSet raw_tokens_;
  AddedTokenSet normalized_tokens_;
  Vocabulary ids_;                                   // by the token's text, added tokens included
  absl::flat_hash_map<int32_t, std::string> bytes_;  // by id
  std::vector<int32_t> ordinary_ids_;
  int32_t size_ = 0;
};

ByteLevelBpeTokenizer::ByteLevelBpeTokenizer(TokenizerDefinition definition, Bpe bpe,
                                             PreTokenizer pre_tokenizer)
    : nfc_(definition.nfc),
      add_prefix_space_(definition.add_prefix_space),
      split_words_(definition.split_words),
      bpe_(std::move(bpe)),
      pre_tokenizer_(std::move(pre_tokenizer)),
      ids_(std::move(definition.vocabulary)) {
  absl::flat_hash_set<int32_t> added;
  for (const AddedToken& token : definition.added_tokens) {
    if (token.normalized) {
      normalized_tokens_.Add(token, nfc_ ? NormalizeNfc(token.content) : token.content);
    } else {
      raw_tokens_.Add(token, token.content);
    }
    ids_.emplace(token.content, token.id);
    bytes_.emplace(token.id, token.content);
    added.insert(token.id);
  }
  bytes_.reserve(ids_.size());
  for (const auto& [token, id] : ids_) {
    size_ = std::max(size_, id + 1);
    if (added.contains(id)) continue;
    bytes_.emplace(id, BytesOfWritten(token).value_or(token));
    ordinary_ids_.push_back(id);
  }
  std::ranges::sort(ordinary_ids_);
}

absl::StatusOr<std::vector<int32_t>> ByteLevelBpeTokenizer::Encode(std::string_view text) const {
  if (!IsValidUtf8(text)) return absl::InvalidArgumentError("the text is not valid UTF-8");
  if (text.size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a text of ", text.size(), " bytes; at most ", kMaxTextBytes, " are allowed"));
  }
  std::vector<int32_t> ids;
  for (const TextPiece& piece : raw_tokens_.Split(text)) {
    if (piece.id) {
      ids.push_back(*piece.id);
    } else {
      INDUCT_RETURN_IF_ERROR(EncodeRaw(piece.text, ids));
    }
  }
  return ids;
}

absl::Status ByteLevelBpeTokenizer::EncodeRaw(std::string_view text, std::vector<int32_t>& ids) const {
  const std::string normalized = nfc_ ? NormalizeNfc(text) : std::string(text);
  for (const TextPiece& piece : normalized_tokens_.Split(normalized)) {
    if (piece.id) {
      ids.push_back(*piece.id);
    } else {
      INDUCT_RETURN_IF_ERROR(EncodeNormalized(piece.text, ids));
    }
  }
  return absl::OkStatus();
}

absl::Status ByteLevelBpeTokenizer::EncodeNormalized(std::string_view text, std::vector<int32_t>& ids) const {
  std::string prefixed;
  if (add_prefix_space_ && !text.starts_with(' ')) text = prefixed = absl::StrCat(" ", std::string(text));
  if (!split_words_) {
    bpe_.Encode(text, ids);
    return absl::OkStatus();
  }
  return pre_tokenizer_.Split(text, [&](std::string_view word) { bpe_.Encode(word, ids); });
}

std::string ByteLevelBpeTokenizer::Decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    const auto found = bytes_.find(id);
    if (found != bytes_.end()) bytes += found->second;
  }
  return bytes;
}

std::optional<int32_t> ByteLevelBpeTokenizer::Find(std::string_view token) const {
  const auto found = ids_.find(std::string(token));
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(std::string_view json) {
  INDUCT_ASSIGN_OR_RETURN(TokenizerDefinition definition, ParseTokenizerJson(json));
  INDUCT_RETURN_IF_ERROR(CheckAddedTokens(definition));
  INDUCT_ASSIGN_OR_RETURN(Bpe bpe, Bpe::Create(definition));
  INDUCT_ASSIGN_OR_RETURN(PreTokenizer pre_tokenizer, PreTokenizer::Create());
  return std::make_unique<ByteLevelBpeTokenizer>(std::move(definition), std::move(bpe),
                                                 std::move(pre_tokenizer));
}

}  // namespace induct::checkpoint
