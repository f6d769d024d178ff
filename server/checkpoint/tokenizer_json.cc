#include "server/checkpoint/tokenizer_json.h"

#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/json.h"
#include "server/checkpoint/pre_tokenizer_json.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

constexpr char kFile[] = "tokenizer.json";
constexpr char kModel[] = "tokenizer.json: model";

constexpr int64_t kMaxId = std::numeric_limits<int32_t>::max() - 1;  // so that the highest id + 1 is an int32
// Beyond any tokenizer there is, and below 7/8 of a power of two, at which the tables double: with these they
// stay below 64 MB.
constexpr size_t kMaxTokens = 450'000;
constexpr uint32_t kMaxMerges = 900'000;
constexpr size_t kMaxAddedTokens = size_t{1} << 17;
constexpr size_t kMaxAddedTokensBytes = size_t{1} << 18;
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

// The id of the special token that a template begins with, if it begins with one.
absl::StatusOr<std::optional<int32_t>> ReadTemplateStart(const JsonFields& fields) {
  const json* pieces = fields.Find("single");
  if (pieces == nullptr || !pieces->is_array()) return fields.Wrong("single", "must be a list");
  if (pieces->empty() || !pieces->front().is_object() || !pieces->front().contains("SpecialToken"))
    return std::nullopt;
  INDUCT_ASSIGN_OR_RETURN(const JsonFields piece, JsonFields::Of(pieces->front(), fields.what()));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields token, piece.Object("SpecialToken"));
  INDUCT_ASSIGN_OR_RETURN(const std::string name, token.Text("id"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields tokens, fields.Object("special_tokens"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields special, tokens.Object(name));
  const json* ids = special.Find("ids");
  int64_t id = 0;
  if (ids == nullptr || !ids->is_array() || ids->size() != 1 || !IsIntegerIn(ids->front(), 0, kMaxId, id))
    return special.Wrong("ids", "must be a list of one id");
  return static_cast<int32_t>(id);
}

// The post-processor adds special tokens, which Encode never does: all that counts is what it begins with.
absl::StatusOr<std::optional<int32_t>> ReadPostProcessor(const JsonFields& fields, bool within_sequence) {
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (type == "ByteLevel") return std::nullopt;
  if (type == "TemplateProcessing") return ReadTemplateStart(fields);
  if (type != "Sequence" || within_sequence) return Unsupported(fields, "ByteLevel or TemplateProcessing");
  const json* parts = fields.Find("processors");
  if (parts == nullptr || !parts->is_array()) return fields.Wrong("processors", "must be a list");
  std::optional<int32_t> bos_id;
  for (const json& part : *parts) {
    INDUCT_ASSIGN_OR_RETURN(const JsonFields part_fields, JsonFields::Of(part, fields.what()));
    INDUCT_ASSIGN_OR_RETURN(const std::optional<int32_t> first, ReadPostProcessor(part_fields, true));
    if (first) bos_id = first;  // the later one puts its token before the earlier one's
  }
  return bos_id;
}

// Whether Decode implements the decoder: ByteLevel, or a Sequence of that one.
absl::Status CheckDecoder(const JsonFields& fields, bool within_sequence) {
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (type == "ByteLevel") return absl::OkStatus();
  if (type != "Sequence" || within_sequence) return Unsupported(fields, "ByteLevel");
  const json* parts = fields.Find("decoders");
  if (parts == nullptr || !parts->is_array() || parts->size() != 1)
    return fields.Wrong("decoders", "must be a list of one");
  INDUCT_ASSIGN_OR_RETURN(const JsonFields part, JsonFields::Of(parts->front(), fields.what()));
  return CheckDecoder(part, true);
}

absl::Status ReadPostProcessorAndDecoder(const JsonFields& root, TokenizerDefinition& definition) {
  if (root.Find("post_processor") != nullptr) {
    INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object("post_processor"));
    INDUCT_ASSIGN_OR_RETURN(definition.bos_id, ReadPostProcessor(fields, false));
  }
  if (root.Find("decoder") == nullptr)
    return UnsupportedModel(absl::StrCat(root.what(), ": decoder null is not supported; ByteLevel is"));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object("decoder"));
  return CheckDecoder(fields, false);
}

// Early files do not say the type; of the models, BPE alone has merges.
absl::Status CheckModelType(const JsonFields& model) {
  if (model.Find("type") == nullptr && model.Find("merges") != nullptr) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(const std::string type, model.Text("type"));
  return type == "BPE" ? absl::OkStatus() : Unsupported(model, "byte-level BPE");
}

// Options of the BPE model that change ids.
absl::Status ReadModelOptions(const JsonFields& model, TokenizerDefinition& definition) {
  INDUCT_ASSIGN_OR_RETURN(const bool byte_fallback, model.FlagOr("byte_fallback", false));
  if (byte_fallback) {
    return UnsupportedModel(absl::StrCat(
        model.what(), ": byte_fallback true (SentencePiece) is not supported; byte-level BPE is"));
  }
  INDUCT_ASSIGN_OR_RETURN(definition.ignore_merges, model.FlagOr("ignore_merges", false));
  INDUCT_ASSIGN_OR_RETURN(definition.unk_token, model.TextOr("unk_token", ""));
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

absl::Status AddToken(const std::string& token, const json& value, Vocabulary& vocabulary) {
  int64_t id = 0;
  if (!IsIntegerIn(value, 0, kMaxId, id)) {
    return BadCheckpoint(
        absl::StrCat(kModel, ": the id of ", Quoted(token), " must be a whole number from 0 to ", kMaxId));
  }
  if (vocabulary.size() == kMaxTokens) {
    return UnsupportedModel(
        absl::StrCat(kModel, ": a vocabulary of more than ", kMaxTokens, " tokens is not supported"));
  }
  if (vocabulary.Add(token, static_cast<int32_t>(id))) return absl::OkStatus();
  if (vocabulary.Find(token))
    return BadCheckpoint(absl::StrCat(kModel, ": key ", Quoted(token), " stands twice"));
  return BadCheckpoint(absl::StrCat(kModel, ": id ", id, " belongs to both ",
                                    Quoted(*vocabulary.TextOf(static_cast<int32_t>(id))), " and ",
                                    Quoted(token)));
}

// A merge is "a b" or ["a", "b"]; the views live as long as `merge`.
absl::StatusOr<std::pair<std::string_view, std::string_view>> ParseMerge(const json& merge, uint32_t rank) {
  const auto broken = [&] {
    return BadCheckpoint(
        absl::StrCat(kModel, ": merge ", rank, " must be two texts: \"a b\" or [\"a\", \"b\"]"));
  };
  if (merge.is_array()) {
    if (merge.size() != 2 || !merge[0].is_string() || !merge[1].is_string()) return broken();
    return std::pair<std::string_view, std::string_view>(merge[0].get_ref<const std::string&>(),
                                                         merge[1].get_ref<const std::string&>());
  }
  if (!merge.is_string()) return broken();
  const std::string_view text = merge.get_ref<const std::string&>();
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return broken();
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

absl::StatusOr<int32_t> MergedId(std::string_view token, uint32_t rank, const Vocabulary& vocabulary) {
  const std::optional<int32_t> id = vocabulary.Find(token);
  if (id) return *id;
  return BadCheckpoint(absl::StrCat("tokenizer.json: merge ", rank, " needs ", Quoted(token),
                                    ", which is not in the vocabulary"));
}

absl::Status AddMerge(const json& merge, uint32_t rank, TokenizerDefinition& definition) {
  if (rank == kMaxMerges)
    return UnsupportedModel(absl::StrCat(kModel, ": more than ", kMaxMerges, " merges are not supported"));
  INDUCT_ASSIGN_OR_RETURN(const auto pair, ParseMerge(merge, rank));
  const auto& [left, right] = pair;
  INDUCT_ASSIGN_OR_RETURN(const int32_t left_id, MergedId(left, rank, definition.vocabulary));
  INDUCT_ASSIGN_OR_RETURN(const int32_t right_id, MergedId(right, rank, definition.vocabulary));
  const std::string merged = std::string(left).append(right);
  INDUCT_ASSIGN_OR_RETURN(const int32_t product, MergedId(merged, rank, definition.vocabulary));
  definition.merges.Add(left_id, right_id, {.rank = rank, .product = product});
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

absl::Status AddAddedToken(const json& entry, std::vector<AddedToken>& tokens, size_t& content_bytes) {
  const std::string what = absl::StrCat("tokenizer.json: added_tokens[", tokens.size(), "]");
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(entry, what));
  INDUCT_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(fields));
  content_bytes += token.content.size();
  if (tokens.size() == kMaxAddedTokens || content_bytes > kMaxAddedTokensBytes) {
    return UnsupportedModel(absl::StrCat("tokenizer.json: more than ", kMaxAddedTokens, " added tokens, or ",
                                         kMaxAddedTokensBytes, " bytes of them, are not supported"));
  }
  tokens.push_back(std::move(token));
  return absl::OkStatus();
}

// What has been streamed is empty in the document, but of the type that the file gave it.
absl::Status CheckStreamed(const JsonFields& root, const JsonFields& model) {
  const json* vocabulary = model.Find("vocab");
  if (vocabulary == nullptr || !vocabulary->is_object()) return model.Wrong("vocab", "must be an object");
  const json* merges = model.Find("merges");
  if (merges == nullptr || !merges->is_array()) return model.Wrong("merges", "must be a list");
  const json* added_tokens = root.Find("added_tokens");
  if (added_tokens != nullptr && !added_tokens->is_array())
    return root.Wrong("added_tokens", "must be a list");
  return absl::OkStatus();
}

// Reads everything but the merges. What is wrong with the vocabulary counts only where the model is BPE.
absl::Status ReadAllButMerges(std::string_view text, TokenizerDefinition& definition) {
  absl::Status vocabulary_status;
  size_t content_bytes = 0;
  const JsonStream streams[] = {
      {.path = {"model", "vocab"},
       .take =
           [&](const std::string& token, const json& id) {
             if (vocabulary_status.ok()) vocabulary_status = AddToken(token, id, definition.vocabulary);
             return absl::OkStatus();
           }},
      {.path = {"model", "merges"}, .take = [](const std::string&, const json&) { return absl::OkStatus(); }},
      {.path = {"added_tokens"}, .take = [&](const std::string&, const json& entry) {
         return AddAddedToken(entry, definition.added_tokens, content_bytes);
       }}};
  INDUCT_ASSIGN_OR_RETURN(const json document, ParseJson(text, kFile, streams));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields root, JsonFields::Of(document, kFile));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields model, root.Object("model"));
  INDUCT_RETURN_IF_ERROR(CheckModelType(model));
  INDUCT_RETURN_IF_ERROR(ReadModelOptions(model, definition));
  INDUCT_ASSIGN_OR_RETURN(definition.nfc, ReadNormalizer(root));
  INDUCT_ASSIGN_OR_RETURN(definition.pre_tokenizer, ReadPreTokenizer(root));
  INDUCT_RETURN_IF_ERROR(ReadPostProcessorAndDecoder(root, definition));
  INDUCT_RETURN_IF_ERROR(CheckStreamed(root, model));
  return vocabulary_status;
}

// A reading of its own: the vocabulary may stand behind the merges, which need it.
absl::Status ReadMerges(std::string_view text, TokenizerDefinition& definition) {
  uint32_t rank = 0;
  const auto take_nothing = [](const std::string&, const json&) { return absl::OkStatus(); };
  const auto take_merge = [&](const std::string&, const json& merge) {
    // Files converted from a merges.txt may have kept its first line.
    if (merge.is_string() && absl::StartsWith(merge.get_ref<const std::string&>(), "#version"))
      return absl::OkStatus();
    return AddMerge(merge, rank++, definition);
  };
  const JsonStream streams[] = {{.path = {"model", "vocab"}, .take = take_nothing},
                                {.path = {"model", "merges"}, .take = take_merge},
                                {.path = {"added_tokens"}, .take = take_nothing}};
  return ParseJson(text, kFile, streams).status();
}

}  // namespace

absl::StatusOr<TokenizerDefinition> ParseTokenizerJson(std::string_view text) {
  TokenizerDefinition definition;
  INDUCT_RETURN_IF_ERROR(ReadAllButMerges(text, definition));
  INDUCT_RETURN_IF_ERROR(ReadMerges(text, definition));
  return definition;
}

}  // namespace induct::checkpoint
