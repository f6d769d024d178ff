#include "client/record_file.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/exit_code.h"
#include "common/atomic_file.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/utf8.h"

namespace induct::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::json;

constexpr size_t kMaxFileBytes = size_t{256} << 20;  // numbers in decimal take more room than in a request

// A line that is not blank, and so holds a record.
struct Line {
  int number = 0;  // from 1, as editors count
  std::string text;
};

std::vector<Line> RecordLines(const std::string& bytes) {
  std::vector<Line> lines;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(absl::StripPrefix(bytes, "\xef\xbb\xbf"), '\n')) {
    ++number;
    absl::ConsumeSuffix(&line, "\r");
    if (!absl::StripAsciiWhitespace(line).empty()) lines.push_back({number, std::string(line)});
  }
  return lines;
}

const FieldDescriptor* FieldOfRecords(const Message& holder, const RecordKind& kind) {
  return holder.GetDescriptor()->FindFieldByName(kind.field);
}

absl::Status ReadLine(const std::string& path, const RecordKind& kind, const std::string& text,
                      Message* record) {
  if (!IsUtf8(text)) return absl::InvalidArgumentError("no valid UTF-8");
  return kind.read(path, text, record);
}

// The number in "given_prompts[3].token_ids[2]", where the field is given_prompts.
std::optional<size_t> NumberInPath(absl::string_view path, const std::string& field) {
  size_t number = 0;
  if (!absl::ConsumePrefix(&path, absl::StrCat(field, "["))) return std::nullopt;
  if (!absl::SimpleAtoi(path.substr(0, path.find(']')), &number)) return std::nullopt;
  return number;
}

// The line of the record. The file is read again, since that is needed after an error alone: empty where it
// has changed since.
std::string LineOf(const RecordsOfFile& given, size_t number, const Message& record) {
  const auto bytes = ReadUserFile(given.path);
  if (!bytes.ok()) return "";
  const std::vector<Line> lines = RecordLines(*bytes);
  if (number >= lines.size()) return "";
  const std::unique_ptr<Message> now(record.New());
  const bool same = ReadLine(given.path, given.kind, lines[number].text, now.get()).ok() &&
                    now->SerializeAsString() == record.SerializeAsString();
  return same ? absl::StrCat(":", lines[number].number) : "";
}

}  // namespace

absl::Status ReadRecords(const std::string& path, const RecordKind& kind, Message* holder) {
  INDUCT_ASSIGN_OR_RETURN(const std::string bytes, ReadUserFile(path));
  const FieldDescriptor* field = FieldOfRecords(*holder, kind);
  int n = 0;
  for (const Line& line : RecordLines(bytes)) {
    const std::string place = absl::StrCat(path, ":", line.number);
    if (++n > kind.most) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": more than ", kind.most, " ", kind.noun, "s, which is what a job may have"));
    }
    const absl::Status read =
        ReadLine(path, kind, line.text, holder->GetReflection()->AddMessage(holder, field));
    if (!read.ok()) return Annotate(read, place);
  }
  if (n == 0) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no ", kind.noun));
  return absl::OkStatus();
}

absl::Status NameFileAndLine(const absl::Status& error, const RecordsOfFile& given) {
  const std::string path = FieldOf(error);
  const std::optional<size_t> number = NumberInPath(path, given.kind.field);
  if (given.path.empty() || !number) return error;
  const auto* reflection = given.holder.GetReflection();
  const FieldDescriptor* field = FieldOfRecords(given.holder, given.kind);
  if (*number >= static_cast<size_t>(reflection->FieldSize(given.holder, field))) return error;
  const Message& record = reflection->GetRepeatedMessage(given.holder, field, static_cast<int>(*number));
  const std::string place = given.are_rows ? absl::StrCat(", row ", *number) : LineOf(given, *number, record);
  absl::string_view message = error.message();
  absl::ConsumePrefix(&message, absl::StrCat(path, ": "));
  absl::Status named(error.code(), absl::StrCat(given.path, place, ": ", message));
  error.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { named.SetPayload(url, payload); });
  return named;
}

absl::StatusOr<std::string> ReadUserFile(const std::string& path) {
  auto bytes = ReadFile(path, kMaxFileBytes);
  if (!bytes.ok()) return WithExitCode(bytes.status(), ExitCode::kUsage);
  return bytes;
}

absl::StatusOr<json> ParseRecord(const std::string& line, const std::vector<std::string>& known) {
  json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("no JSON object");
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string nearest = NearestWord(key, known);
    return absl::InvalidArgumentError(
        absl::StrCat("there is no key \"", key, "\"; ",
                     nearest.empty() ? absl::StrCat("known are ", absl::StrJoin(known, ", "))
                                     : absl::StrCat("did you mean ", nearest, "?")));
  }
  return object;
}

std::optional<uint32_t> AsUint32(const json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > std::numeric_limits<uint32_t>::max())
    return std::nullopt;
  return static_cast<uint32_t>(value.get<uint64_t>());
}

std::string Quoted(const json& value) { return value.dump(-1, ' ', true, json::error_handler_t::replace); }

}  // namespace induct::client
