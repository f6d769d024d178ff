#include "server/checkpoint/tokenizer_json.h"

#include <limits>
#include <span>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

constexpr int64_t kMaxId = std::numeric_limits<int32_t>::max() - 1;  // so that the highest id + 1 is an int32
// Looking for added tokens takes up to this many steps at each byte of the text.
constexpr size_t kMaxAddedTokenBytes = 512;

absl::Status Unsupported(const JsonFields& fields, const std::string& supported) {
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  return UnsupportedModel(
      absl::StrCat(fields.what(), ": type ", Quoted(type), " is not supported; ", supported, " is"));
}

// Whether the normaliser is NFC: null, NFC, or a Sequence of those.
absl::StatusOr<bool> ReadNormalizer(const JsonFields& root) {
  if (root.Find("normalizer") == nullptr) return false;
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object("normalizer"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (type == "NFC") return true;
  if (type != "Sequence") return Unsupported(fields, "NFC");
  const json* parts = fields.Find("normalizers");
  if (parts == nullptr || !parts->is_array()) return fields.Wrong("normalizers", "must be a list");
  for (const json& part : *parts) {
    INDUCT_ASSIGN_OR_RETURN(const JsonFields part_fields, JsonFields::Of(part, fields.what()));
    INDUCT_ASSIGN_OR_RETURN(const std::string part_type, part_fields.Text("type"));
    if (part_type != "NFC") return Unsupported(part_fields, "NFC");
  }
  return !parts->empty();
}

absl::Status ReadPreTokenizer(const JsonFields& root, TokenizerDefinition& definition) {
  if (root.Find("pre_tokenizer") == nullptr) {
    return UnsupportedModel(absl::StrCat(root.what(), ": pre_tokenizer null is not supported; ByteLevel is"));
  }
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object("pre_tokenizer"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (type != "ByteLevel") return Unsupported(fields, "ByteLevel");
  INDUCT_ASSIGN_OR_RETURN(definition.add_prefix_space, fields.FlagOr("add_prefix_space", true));
  INDUCT_ASSIGN_OR_RETURN(definition.split_words, fields.FlagOr("use_regex", true));
  return absl::OkStatus();
}

// The part under `key` must have one of `types`.
absl::Status CheckType(const JsonFields& root, const std::string& key, std::span<const std::string> types) {
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object(key));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  for (const std::string& supported : types) {
    if (type == supported) return absl::OkStatus();
  }
  return Unsupported(fields, types.front());
}

// The post-processor only adds special tokens, which Encode never does; the decoder must be the one that
// Decode implements.
absl::Status CheckPostProcessorAndDecoder(const JsonFields& root) {
  const std::string kPostProcessors[] = {"ByteLevel", "TemplateProcessing"};
  const std::string kDecoders[] = {"ByteLevel"};
  if (root.Find("post_processor") != nullptr)
    INDUCT_RETURN_IF_ERROR(CheckType(root, "post_processor", kPostProcessors));
  if (root.Find("decoder") == nullptr)
    return UnsupportedModel(absl::StrCat(root.what(), ": decoder null is not supported; ByteLevel is"));
  return CheckType(root, "decoder", kDecoders);
}

// Options of the BPE model that would change ids.
absl::Status CheckModelOptions(const JsonFields& model) {
  for (const char* key : {"ignore_merges", "byte_fallback"}) {
    INDUCT_ASSIGN_OR_RETURN(const bool set, model.FlagOr(key, false));
    if (set) return UnsupportedModel(absl::StrCat(model.what(), ": ", key, " true is not supported"));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    INDUCT_ASSIGN_OR_RETURN(const std::string text, model.TextOr(key, ""));
    if (!text.empty()) {
      return UnsupportedModel(absl::StrCat(model.what(), ": ", key, " ", Quoted(text), " is not supported"));
    }
  }
  INDUCT_ASSIGN_OR_RETURN(const double dropout, model.NumberOr("dropout", 0.0));
  if (dropout != 0.0)
    return UnsupportedModel(absl::StrCat(model.what(), ": dropout ", dropout, " is not supported"));
  return absl::OkStatus();
}

absl::Status ReadVocabulary(const JsonFields& model, TokenizerDefinition& definition) {
  const json* vocabulary = model.Find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) return model.Wrong("vocab", "must be an object");
  definition.vocabulary.reserve(vocabulary->size());
  absl::flat_hash_map<int32_t, std::string_view> owners;
  owners.reserve(vocabulary->size());
  for (const auto& [token, value] : vocabulary->get_ref<const json::object_t&>()) {
    int64_t id = 0;
    if (!IsIntegerIn(value, 0, kMaxId, id)) {
      return BadCheckpoint(absl::StrCat(model.what(), ": the id of ", Quoted(token),
                                        " must be a whole number from 0 to ", kMaxId));
    }
    const auto [owner, is_new] = owners.emplace(static_cast<int32_t>(id), token);
    if (!is_new) {
      return BadCheckpoint(absl::StrCat(model.what(), ": id ", id, " belongs to both ", Quoted(owner->second),
                                        " and ", Quoted(token)));
    }
    definition.vocabulary.emplace(token, static_cast<int32_t>(id));
  }
  return absl::OkStatus();
}

// A merge is "a b" or ["a", "b"].
absl::StatusOr<std::pair<std::string, std::string>> ParseMerge(const json& merge, size_t rank,
                                                               const JsonFields& model) {
  const auto broken = [&] {
    return BadCheckpoint(
        absl::StrCat(model.what(), ": merge ", rank, " must be two texts: \"a b\" or [\"a\", \"b\"]"));
  };
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return broken();
    return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
  }
  if (!merge.is_string()) return broken();
  const auto& text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return broken();
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

absl::Status ReadMerges(const JsonFields& model, TokenizerDefinition& definition) {
  const json* merges = model.Find("merges");
  if (merges == nullptr || !merges->is_array()) return model.Wrong("merges", "must be a list");
  for (const json& merge : *merges) {
    // Files converted from a merges.txt may have kept its first line.
    if (merge.is_string() && absl::StartsWith(merge.get_ref<const std::string&>(), "#version")) continue;
    INDUCT_ASSIGN_OR_RETURN(auto pair, ParseMerge(merge, definition.merges.size(), model));
    definition.merges.push_back(std::move(pair));
  }
  return absl::OkStatus();
}

absl::StatusOr<AddedToken> ParseAddedToken(const JsonFields& fields) {
  AddedToken token;
  INDUCT_ASSIGN_OR_RETURN(const int64_t id, fields.Integer("id", 0, kMaxId));
  token.id = static_cast<int32_t>(id);
  INDUCT_ASSIGN_OR_RETURN(token.content, fields.Text("content"));
  INDUCT_ASSIGN_OR_RETURN(token.single_word, fields.FlagOr("single_word", false));
  INDUCT_ASSIGN_OR_RETURN(token.lstrip, fields.FlagOr("lstrip", false));
  INDUCT_ASSIGN_OR_RETURN(token.rstrip, fields.FlagOr("rstrip", false));
  INDUCT_ASSIGN_OR_RETURN(const bool special, fields.FlagOr("special", false));
  INDUCT_ASSIGN_OR_RETURN(token.normalized, fields.FlagOr("normalized", !special));
  if (token.content.size() > kMaxAddedTokenBytes) {
    return UnsupportedModel(absl::StrCat(fields.what(), ": content of ", token.content.size(),
                                         " bytes; at most ", kMaxAddedTokenBytes, " are supported"));
  }
  return token;
}

absl::Status ReadAddedTokens(const JsonFields& root, TokenizerDefinition& definition) {
  const json* tokens = root.Find("added_tokens");
  if (tokens == nullptr) return absl::OkStatus();
  if (!tokens->is_array()) return root.Wrong("added_tokens", "must be a list");
  for (const json& entry : *tokens) {
    const std::string what =
        absl::StrCat(root.what(), ": added_tokens[", definition.added_tokens.size(), "]");
    INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(entry, what));
    INDUCT_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(fields));
    definition.added_tokens.push_back(std::move(token));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view text) {
  INDUCT_ASSIGN_OR_RETURN(const json document, ParseJson(text, "tokenizer.json"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields root, JsonFields::Of(document, "tokenizer.json"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields model, root.Object("model"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, model.Text("type"));
  if (type != "BPE") return Unsupported(model, "byte-level BPE");
  TokenizerDefinition definition;
  INDUCT_ASSIGN_OR_RETURN(definition.nfc, ReadNormalizer(root));
  INDUCT_RETURN_IF_ERROR(ReadPreTokenizer(root, definition));
  INDUCT_RETURN_IF_ERROR(CheckPostProcessorAndDecoder(root));
  INDUCT_RETURN_IF_ERROR(CheckModelOptions(model));
  INDUCT_ASSIGN_OR_RETURN(definition.unk_token, model.TextOr("unk_token", ""));
  INDUCT_RETURN_IF_ERROR(ReadVocabulary(model, definition));
  INDUCT_RETURN_IF_ERROR(ReadMerges(model, definition));
  INDUCT_RETURN_IF_ERROR(ReadAddedTokens(root, definition));
  return definition;
}

}  // namespace induct::checkpoint
