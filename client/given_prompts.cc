#include "client/given_prompts.h"

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/record_file.h"
#include "common/npy.h"
#include "common/status.h"
#include "nlohmann/json.hpp"

namespace induct::client {
namespace {

using google::protobuf::Message;
using nlohmann::json;

absl::Status ReadTokenIds(const json& value, v1::Prompt* prompt) {
  if (!value.is_array() || value.empty())
    return absl::InvalidArgumentError("token_ids must be a list of token ids");
  for (const json& item : value) {
    const std::optional<uint32_t> id = AsUint32(item);
    if (!id) return absl::InvalidArgumentError(absl::StrCat("token_ids: ", Quoted(item), " is no token id"));
    prompt->add_token_ids(*id);
  }
  return absl::OkStatus();
}

absl::Status ReadNumber(const json& object, const char* name, uint32_t max, uint32_t* number) {
  const auto member = object.find(name);
  if (member == object.end()) return absl::OkStatus();
  const std::optional<uint32_t> value = AsUint32(*member);
  if (!value || *value > max)
    return absl::InvalidArgumentError(absl::StrCat(name, " must be a whole number from 0 to ", max));
  *number = *value;
  return absl::OkStatus();
}

absl::Status ReadPromptRecord(const std::string& line, v1::Prompt* prompt) {
  INDUCT_ASSIGN_OR_RETURN(const json object,
                          ParseRecord(line, {"task", "lag", "text", "token_ids", "n_bos"}));
  const auto ids = object.find("token_ids");
  const auto text = object.find("text");
  if (ids == object.end() && text == object.end())
    return absl::InvalidArgumentError("neither text nor token_ids");
  if (text != object.end()) {
    if (!text->is_string()) return absl::InvalidArgumentError("text must be a string");
    prompt->set_text(text->get<std::string>());
  }
  if (ids != object.end()) INDUCT_RETURN_IF_ERROR(ReadTokenIds(*ids, prompt));
  if (const auto task = object.find("task"); task != object.end()) {
    if (!task->is_string()) return absl::InvalidArgumentError("task must be a string");
    prompt->set_task(task->get<std::string>());
  }
  uint32_t lag = 0;
  uint32_t n_bos = 0;
  INDUCT_RETURN_IF_ERROR(ReadNumber(object, "lag", std::numeric_limits<uint32_t>::max(), &lag));
  INDUCT_RETURN_IF_ERROR(ReadNumber(object, "n_bos", 1, &n_bos));
  prompt->set_lag(lag);
  prompt->set_n_bos(n_bos);
  return absl::OkStatus();
}

bool HoldsRecords(const std::string& path) { return absl::EndsWithIgnoreCase(path, ".jsonl"); }

absl::Status ReadPromptLine(const std::string& path, const std::string& line, Message* record) {
  auto* prompt = dynamic_cast<v1::Prompt*>(record);
  if (HoldsRecords(path)) return ReadPromptRecord(line, prompt);
  prompt->set_text(line);
  return absl::OkStatus();
}

}  // namespace

const RecordKind& GivenPrompts() {
  static const auto* const kKind =
      new RecordKind{.field = "given_prompts", .noun = "prompt", .read = ReadPromptLine};
  return *kKind;
}

const RecordKind& ControlPrompts() {
  static const auto* const kKind =
      new RecordKind{.field = "control_prompts", .noun = "prompt", .read = ReadPromptLine};
  return *kKind;
}

absl::Status ReadPromptFile(const std::string& path, const RecordKind& kind, Message* holder) {
  if (!HoldsRecords(path) && !absl::EndsWithIgnoreCase(path, ".txt")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": prompts come from a .txt file (a text a line) or a .jsonl file (an object a line); "
                     "for .npy there is --tokens"));
  }
  return ReadRecords(path, kind, holder);
}

absl::Status ReadTokenFile(const std::string& path, v1::ProfileSpec* spec) {
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes, ReadUserFile(path));
  auto matrix = ParseIntegerNpy(bytes);
  if (!matrix.ok()) return Annotate(matrix.status(), path);
  if (matrix->values.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no prompt"));
  for (int64_t row = 0; row < matrix->rows; ++row) {
    v1::Prompt& prompt = *spec->add_given_prompts();
    prompt.set_task("TOKENS");
    for (int64_t column = 0; column < matrix->columns; ++column) {
      const int64_t id = matrix->values[static_cast<size_t>(row * matrix->columns + column)];
      if (id < 0 || id > std::numeric_limits<uint32_t>::max()) {
        return absl::InvalidArgumentError(absl::StrCat(
            path, ": row ", row, ", column ", column, ", both from 0, holds ", id, ", which is no token id"));
      }
      prompt.add_token_ids(static_cast<uint32_t>(id));
    }
  }
  return absl::OkStatus();
}

}  // namespace induct::client
