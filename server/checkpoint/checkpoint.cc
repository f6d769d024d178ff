#include "server/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/atomic_file.h"
#include "common/sha256.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/folder.h"
#include "server/checkpoint/json.h"

namespace induct::checkpoint {
namespace {

constexpr char kModelConfigFile[] = "config.json";
constexpr char kTokenizerFile[] = "tokenizer.json";
constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";

constexpr size_t kMaxConfigBytes = size_t{16} << 20;
constexpr size_t kMaxTokenizerBytes = size_t{128} << 20;

// The text of one of the checkpoint's own files, which the caller knows to be there.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t limit) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    return BadCheckpoint(absl::StrCat(path, ": is no regular file"));
  absl::StatusOr<std::string> text = ReadFile(path, limit);
  if (!text.ok()) return BadCheckpoint(std::string(text.status().message()));
  return text;
}

// What transformers puts before the names of a model's body. Checkpoints saved from the body alone lack it.
constexpr const char* kBodyPrefixes[] = {"gpt_neox.", "transformer.", "model."};

// `name` as the files have it: as it is, without its prefix, or with one; `name` where they hold none of
// these.
std::string StoredName(const WeightFiles& weights, const std::string& name) {
  if (weights.Holds(name)) return name;
  for (const std::string prefix : kBodyPrefixes) {
    const std::string other =
        name.starts_with(prefix) ? name.substr(prefix.size()) : absl::StrCat(prefix, name);
    if (weights.Holds(other)) return other;
  }
  return name;
}

// Makes the spec name tensors as the files do.
void UseStoredNames(const WeightFiles& weights, DecoderSpec& spec) {
  for (TensorSpec* tensor : TensorsOf(spec)) tensor->name = StoredName(weights, tensor->name);
}

absl::Status CheckTensor(const WeightFiles& weights, const TensorSpec& expected) {
  const absl::StatusOr<const StoredTensor*> found = weights.Find(expected.name);
  if (absl::IsNotFound(found.status())) {
    return BadCheckpoint(absl::StrCat(found.status().message(), "; expected shape [",
                                      absl::StrJoin(expected.shape, ", "), "]"));
  }
  INDUCT_RETURN_IF_ERROR(found.status());
  const StoredTensor& tensor = **found;
  if (tensor.shape == expected.shape) return absl::OkStatus();
  return BadCheckpoint(absl::StrCat(weights.FileOf(tensor), ": tensor ", Quoted(expected.name),
                                    " has shape [", absl::StrJoin(tensor.shape, ", "),
                                    "], config.json asks for [", absl::StrJoin(expected.shape, ", "), "]"));
}

// The text of `bos_token`: a string, or an object with its `content`; empty where there is none.
absl::StatusOr<std::string> ReadBosToken(const std::string& path) {
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, kMaxConfigBytes));
  INDUCT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(text, kTokenizerConfigFile));
  INDUCT_ASSIGN_OR_RETURN(const JsonFields config, JsonFields::Of(document, kTokenizerConfigFile));
  const nlohmann::json* token = config.Find("bos_token");
  if (token == nullptr || !token->is_object()) return config.TextOr("bos_token", "");
  INDUCT_ASSIGN_OR_RETURN(const JsonFields fields, config.Object("bos_token"));
  return fields.Text("content");
}

absl::StatusOr<std::string> ReadConfigText(const std::string& directory) {
  if (!ExistsIn(directory, kModelConfigFile))
    return absl::NotFoundError(absl::StrCat(directory, ": holds no ", kModelConfigFile));
  return ReadTextFile(PathIn(directory, kModelConfigFile), kMaxConfigBytes);
}

// The dtype that a configuration names under either of the keys that transformers has used; another one, or
// none, is no error: the files of weights say what they hold.
std::optional<DType> StatedDType(const nlohmann::json& config) {
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_string()) continue;
    if (const auto dtype = ParseDType(found->get_ref<const std::string&>())) return dtype;
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ConfigSummary> ReadConfig(const std::string& directory) {
  INDUCT_ASSIGN_OR_RETURN(const std::string text, ReadConfigText(directory));
  INDUCT_ASSIGN_OR_RETURN(DecoderSpec spec, ParseConfig(text));
  INDUCT_ASSIGN_OR_RETURN(const nlohmann::json config, ParseJson(text, kModelConfigFile));
  return ConfigSummary{.spec = std::move(spec), .dtype = StatedDType(config)};
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& directory) {
  auto checkpoint = std::unique_ptr<Checkpoint>(new Checkpoint);
  checkpoint->directory_ = directory;
  INDUCT_ASSIGN_OR_RETURN(const std::string config, ReadConfigText(directory));
  INDUCT_ASSIGN_OR_RETURN(checkpoint->spec_, ParseConfig(config));
  INDUCT_ASSIGN_OR_RETURN(checkpoint->weights_, WeightFiles::Open(directory));
  UseStoredNames(*checkpoint->weights_, checkpoint->spec_);
  for (const TensorSpec* tensor : TensorsOf(checkpoint->spec_)) {
    INDUCT_RETURN_IF_ERROR(CheckTensor(*checkpoint->weights_, *tensor));
  }
  return checkpoint;
}

std::vector<std::string> Checkpoint::files() const {
  std::vector<std::string> files = {kModelConfigFile, kTokenizerFile, kTokenizerConfigFile};
  files.insert(files.end(), weights_->names().begin(), weights_->names().end());
  return files;
}

DType Checkpoint::stored_dtype() const {
  std::map<DType, int64_t> numbers;
  for (const TensorSpec* tensor : TensorsOf(spec_)) {
    numbers[weights_->Find(tensor->name).value()->dtype] += CountOf(*tensor);
  }
  return std::ranges::max_element(numbers, {}, [](const auto& entry) { return entry.second; })->first;
}

int64_t Checkpoint::n_parameters() const {
  int64_t total = 0;
  for (const TensorSpec* tensor : TensorsOf(spec_)) {
    total += CountOf(*tensor);
  }
  return total;
}

int64_t Checkpoint::stored_bytes() const {
  int64_t total = 0;
  for (const TensorSpec* tensor : TensorsOf(spec_)) {
    total += CountOf(*tensor) * static_cast<int64_t>(DTypeBytes(weights_->Find(tensor->name).value()->dtype));
  }
  return total;
}

bool Checkpoint::has_tokenizer() const { return ExistsIn(directory_, kTokenizerFile); }

absl::StatusOr<std::unique_ptr<Tokenizer>> Checkpoint::LoadTokenizer() const {
  return LoadTokenizerOf(directory_);
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizerOf(const std::string& directory) {
  if (!ExistsIn(directory, kTokenizerFile)) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(directory, ": holds no ", kTokenizerFile)),
                      reason::kNoTokenizer);
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string text,
                          ReadTextFile(PathIn(directory, kTokenizerFile), kMaxTokenizerBytes));
  return Tokenizer::Parse(text);
}

absl::StatusOr<int64_t> Checkpoint::BosTokenId(const Tokenizer* tokenizer) const {
  std::string named;
  if (ExistsIn(directory_, kTokenizerConfigFile)) {
    INDUCT_ASSIGN_OR_RETURN(named, ReadBosToken(PathIn(directory_, kTokenizerConfigFile)));
  }
  if (tokenizer == nullptr) return spec_.bos_token_id;
  const std::optional<int32_t> found = named.empty() ? std::nullopt : tokenizer->Find(named);
  for (const std::optional<int32_t> id : {found, tokenizer->bos_id()}) {
    if (id && *id < spec_.vocab_size) return *id;
  }
  return spec_.bos_token_id;
}

absl::StatusOr<std::string> Checkpoint::Sha256() const {
  std::vector<std::string> lines;
  for (const std::string& file : files()) {
    if (file == kTokenizerConfigFile || !ExistsIn(directory_, file)) continue;
    INDUCT_ASSIGN_OR_RETURN(const std::string digest, Sha256HexOfFile(PathIn(directory_, file)));
    lines.push_back(absl::StrCat(digest, "  ", file, "\n"));
  }
  std::ranges::sort(lines);
  return Sha256Hex(absl::StrJoin(lines, ""));
}

}  // namespace induct::checkpoint
