#include "client/given_prompts.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/exit_code.h"
#include "common/atomic_file.h"
#include "common/npy.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/utf8.h"
#include "nlohmann/json.hpp"

namespace induct::client {
namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{256} << 20;  // ids in decimal take more room than in a request

std::optional<uint32_t> AsUint32(const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > std::numeric_limits<uint32_t>::max())
    return std::nullopt;
  return static_cast<uint32_t>(value.get<uint64_t>());
}

absl::Status ReadTokenIds(const json& value, v1::Prompt* prompt) {
  if (!value.is_array() || value.empty())
    return absl::InvalidArgumentError("token_ids must be a list of token ids");
  for (const json& item : value) {
    const std::optional<uint32_t> id = AsUint32(item);
    if (!id)
      return absl::InvalidArgumentError(absl::StrCat(
          "token_ids: ", item.dump(-1, ' ', true, json::error_handler_t::replace), " is no token id"));
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

absl::Status CheckKeys(const json& object) {
  static const std::vector<std::string> kKnown = {"task", "lag", "text", "token_ids", "n_bos"};
  for (const auto& [key, value] : object.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), key) != kKnown.end()) continue;
    const std::string nearest = NearestWord(key, kKnown);
    return absl::InvalidArgumentError(
        absl::StrCat("there is no key \"", key, "\"; ",
                     nearest.empty() ? absl::StrCat("known are ", absl::StrJoin(kKnown, ", "))
                                     : absl::StrCat("did you mean ", nearest, "?")));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Prompt> ReadRecord(const std::string& line) {
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("no JSON object");
  INDUCT_RETURN_IF_ERROR(CheckKeys(object));
  v1::Prompt prompt;
  const auto ids = object.find("token_ids");
  const auto text = object.find("text");
  if (ids == object.end() && text == object.end())
    return absl::InvalidArgumentError("neither text nor token_ids");
  if (text != object.end()) {
    if (!text->is_string()) return absl::InvalidArgumentError("text must be a string");
    prompt.set_text(text->get<std::string>());
  }
  if (ids != object.end()) INDUCT_RETURN_IF_ERROR(ReadTokenIds(*ids, &prompt));
  if (const auto task = object.find("task"); task != object.end()) {
    if (!task->is_string()) return absl::InvalidArgumentError("task must be a string");
    prompt.set_task(task->get<std::string>());
  }
  uint32_t lag = 0;
  uint32_t n_bos = 0;
  INDUCT_RETURN_IF_ERROR(ReadNumber(object, "lag", std::numeric_limits<uint32_t>::max(), &lag));
  INDUCT_RETURN_IF_ERROR(ReadNumber(object, "n_bos", 1, &n_bos));
  prompt.set_lag(lag);
  prompt.set_n_bos(n_bos);
  return prompt;
}

// What can't be read is the user's to mend, whatever the system calls it.
absl::StatusOr<std::string> ReadUserFile(const std::string& path) {
  auto bytes = ReadFile(path, kMaxFileBytes);
  if (!bytes.ok()) return WithExitCode(bytes.status(), ExitCode::kUsage);
  return bytes;
}

// A line that is not blank, and so holds a prompt.
struct Line {
  int number = 0;  // from 1, as editors count
  std::string text;
};

std::vector<Line> PromptLines(const std::string& bytes) {
  std::vector<Line> lines;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(absl::StripPrefix(bytes, "\xef\xbb\xbf"), '\n')) {
    ++number;
    absl::ConsumeSuffix(&line, "\r");
    if (!absl::StripAsciiWhitespace(line).empty()) lines.push_back({number, std::string(line)});
  }
  return lines;
}

bool HoldsRecords(const std::string& path) { return absl::EndsWithIgnoreCase(path, ".jsonl"); }

absl::StatusOr<v1::Prompt> ReadLine(const std::string& path, const std::string& text) {
  if (!IsUtf8(text)) return absl::InvalidArgumentError("no valid UTF-8");
  if (HoldsRecords(path)) return ReadRecord(text);
  v1::Prompt prompt;
  prompt.set_text(text);
  return prompt;
}

// The number in "given_prompts[3].token_ids[2]", where the field is given_prompts.
std::optional<size_t> NumberInPath(absl::string_view path, const std::string& field) {
  size_t number = 0;
  if (!absl::ConsumePrefix(&path, absl::StrCat(field, "["))) return std::nullopt;
  if (!absl::SimpleAtoi(path.substr(0, path.find(']')), &number)) return std::nullopt;
  return number;
}

// The line of the prompt. The file is read again, since that is needed after an error alone: empty where it
// has changed since.
std::string LineOf(const std::string& path, size_t number, const v1::Prompt& prompt) {
  const auto bytes = ReadUserFile(path);
  if (!bytes.ok()) return "";
  const std::vector<Line> lines = PromptLines(*bytes);
  if (number >= lines.size()) return "";
  const auto now = ReadLine(path, lines[number].text);
  const bool same = now.ok() && now->SerializeAsString() == prompt.SerializeAsString();
  return same ? absl::StrCat(":", lines[number].number) : "";
}

}  // namespace

absl::StatusOr<std::vector<v1::Prompt>> ReadPromptFile(const std::string& path) {
  if (!HoldsRecords(path) && !absl::EndsWithIgnoreCase(path, ".txt")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": prompts come from a .txt file (a text a line) or a .jsonl file (an object a line); "
                     "for .npy there is --tokens"));
  }
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes, ReadUserFile(path));
  std::vector<v1::Prompt> prompts;
  for (const Line& line : PromptLines(bytes)) {
    auto prompt = ReadLine(path, line.text);
    if (!prompt.ok()) return Annotate(prompt.status(), absl::StrCat(path, ":", line.number));
    prompts.push_back(*std::move(prompt));
  }
  if (prompts.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no prompt"));
  return prompts;
}

absl::StatusOr<std::vector<v1::Prompt>> ReadTokenFile(const std::string& path) {
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes, ReadUserFile(path));
  auto matrix = ParseIntegerNpy(bytes);
  if (!matrix.ok()) return Annotate(matrix.status(), path);
  if (matrix->values.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no prompt"));
  std::vector<v1::Prompt> prompts(static_cast<size_t>(matrix->rows));
  for (int64_t row = 0; row < matrix->rows; ++row) {
    v1::Prompt& prompt = prompts[static_cast<size_t>(row)];
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
  return prompts;
}

absl::Status NameFileAndLine(const absl::Status& error, const PromptsOfFile& given) {
  const std::string field = FieldOf(error);
  const std::optional<size_t> number = NumberInPath(field, given.field);
  if (given.path.empty() || !number) return error;
  const auto* reflection = given.holder.GetReflection();
  const auto* prompts = given.holder.GetDescriptor()->FindFieldByName(given.field);
  if (*number >= static_cast<size_t>(reflection->FieldSize(given.holder, prompts))) return error;
  const auto& prompt = dynamic_cast<const v1::Prompt&>(
      reflection->GetRepeatedMessage(given.holder, prompts, static_cast<int>(*number)));
  const std::string place =
      given.are_rows ? absl::StrCat(", row ", *number) : LineOf(given.path, *number, prompt);
  absl::string_view message = error.message();
  absl::ConsumePrefix(&message, absl::StrCat(field, ": "));
  absl::Status named(error.code(), absl::StrCat(given.path, place, ": ", message));
  error.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

}  // namespace induct::client
