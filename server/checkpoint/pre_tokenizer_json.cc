#include "server/checkpoint/pre_tokenizer_json.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/regex_translation.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

constexpr size_t kMaxSplits = 16;

constexpr char kGpt2Regex[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Digits asks Rust, which knows the digits of Unicode 17; regular expressions are those of Unicode 16.
constexpr char kDigitRegex[] = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

absl::StatusOr<SplitDefinition> Isolated(const std::string& regex) {
  INDUCT_ASSIGN_OR_RETURN(std::string pattern, TranslateRegex(regex));
  return SplitDefinition{.pattern = std::move(pattern), .source = regex};
}

absl::StatusOr<SplitBehavior> ReadBehavior(const JsonFields& fields) {
  constexpr std::array<std::pair<const char*, SplitBehavior>, 5> kBehaviors = {
      {{"Removed", SplitBehavior::kRemoved},
       {"Isolated", SplitBehavior::kIsolated},
       {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
       {"MergedWithNext", SplitBehavior::kMergedWithNext},
       {"Contiguous", SplitBehavior::kContiguous}}};
  INDUCT_ASSIGN_OR_RETURN(const std::string name, fields.Text("behavior"));
  for (const auto& [known, behavior] : kBehaviors) {
    if (name == known) return behavior;
  }
  return UnsupportedModel(absl::StrCat(fields.what(), ": behavior ", Quoted(name), " is not supported"));
}

absl::StatusOr<SplitDefinition> ReadSplit(const JsonFields& fields) {
  SplitDefinition split;
  INDUCT_ASSIGN_OR_RETURN(const JsonFields pattern, fields.Object("pattern"));
  if (pattern.Find("Regex") != nullptr) {
    INDUCT_ASSIGN_OR_RETURN(split.source, pattern.Text("Regex"));
    INDUCT_ASSIGN_OR_RETURN(split.pattern, TranslateRegex(split.source));
  } else {
    INDUCT_ASSIGN_OR_RETURN(split.source, pattern.Text("String"));
    split.pattern = LiteralRegex(split.source);
  }
  INDUCT_ASSIGN_OR_RETURN(split.behavior, ReadBehavior(fields));
  INDUCT_ASSIGN_OR_RETURN(split.invert, fields.FlagOr("invert", false));
  return split;
}

absl::StatusOr<SplitDefinition> ReadDigits(const JsonFields& fields) {
  INDUCT_ASSIGN_OR_RETURN(const bool individual, fields.FlagOr("individual_digits", false));
  return Isolated(absl::StrCat(kDigitRegex, individual ? "" : "+"));
}

absl::Status ReadByteLevel(const JsonFields& fields, PreTokenizerDefinition& definition) {
  INDUCT_ASSIGN_OR_RETURN(definition.add_prefix_space, fields.FlagOr("add_prefix_space", true));
  INDUCT_ASSIGN_OR_RETURN(const bool use_regex, fields.FlagOr("use_regex", true));
  if (!use_regex) return absl::OkStatus();
  INDUCT_ASSIGN_OR_RETURN(definition.byte_level_split, Isolated(kGpt2Regex));
  return absl::OkStatus();
}

absl::Status ReadPart(const json& part, bool is_last, PreTokenizerDefinition& definition) {
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields,
                          JsonFields::Of(part, "tokenizer.json: pre_tokenizer: pretokenizers"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (is_last && type == "ByteLevel") return ReadByteLevel(fields, definition);
  if (is_last || (type != "Split" && type != "Digits")) {
    return UnsupportedModel(
        absl::StrCat(fields.what(), ": type ", Quoted(type), is_last ? " as the last" : " before the last",
                     " is not supported; a sequence of Split and Digits that ends with ByteLevel is"));
  }
  INDUCT_ASSIGN_OR_RETURN(SplitDefinition split, type == "Split" ? ReadSplit(fields) : ReadDigits(fields));
  definition.splits.push_back(std::move(split));
  return absl::OkStatus();
}

absl::StatusOr<PreTokenizerDefinition> ReadSequence(const JsonFields& fields) {
  const json* parts = fields.Find("pretokenizers");
  if (parts == nullptr || !parts->is_array()) return fields.Wrong("pretokenizers", "must be a list");
  if (parts->empty() || parts->size() > kMaxSplits + 1) {
    return UnsupportedModel(absl::StrCat(fields.what(), ": a sequence of ", parts->size(),
                                         " is not supported; 1 to ", kMaxSplits + 1, " are"));
  }
  PreTokenizerDefinition definition;
  for (const json& part : *parts) {
    INDUCT_RETURN_IF_ERROR(ReadPart(part, &part == &parts->back(), definition));
  }
  return definition;
}

}  // namespace

absl::StatusOr<PreTokenizerDefinition> ReadPreTokenizer(const JsonFields& root) {
  if (root.Find("pre_tokenizer") == nullptr) {
    return UnsupportedModel(absl::StrCat(root.what(), ": pre_tokenizer null is not supported; ByteLevel is"));
  }
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, root.Object("pre_tokenizer"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, fields.Text("type"));
  if (type == "Sequence") return ReadSequence(fields);
  if (type != "ByteLevel") {
    return UnsupportedModel(absl::StrCat(fields.what(), ": type ", Quoted(type),
                                         " is not supported; ByteLevel and Sequence are"));
  }
  PreTokenizerDefinition definition;
  INDUCT_RETURN_IF_ERROR(ReadByteLevel(fields, definition));
  return definition;
}

}  // namespace induct::checkpoint
