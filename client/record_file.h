// Files of the user's own that hold a record a line, such as prompts.
#pragma once

#include <climits>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace induct::client {

// What a file holds, and where in a message it goes.
struct RecordKind {
  std::string field;   // repeated, of messages
  std::string noun;    // "prompt"
  int most = INT_MAX;  // records of a file
  // Fills an empty record from a line, which is UTF-8; what the lines of a file are may depend on its name.
  absl::Status (*read)(const std::string& path, const std::string& line,
                       google::protobuf::Message* record) = nullptr;
};

// Adds the records of a file to the field of `holder`: one a line, blank lines skipped. INVALID_ARGUMENT
// naming file and line; a file that can't be read has the exit code kUsage.
absl::Status ReadRecords(const std::string& path, const RecordKind& kind, google::protobuf::Message* holder);

// What a field of a message got from a file.
struct RecordsOfFile {
  const google::protobuf::Message& holder;  // the message that has the field
  const RecordKind& kind;
  std::string path;       // empty: from none
  bool are_rows = false;  // of a .npy file; else lines
};

// What a server says of a record, by its field "given_prompts[3]", with the user's own place instead of the
// field: "p.txt:7: prompt 3: it is ...", "t.npy, row 3: prompt 3: ...". Lines count from 1, records and rows
// from 0. A file that has changed meanwhile is named without a line; any other error comes back as it is.
absl::Status NameFileAndLine(const absl::Status& error, const RecordsOfFile& given);

// The bytes of a file of the user's. One that can't be read has the exit code kUsage.
absl::StatusOr<std::string> ReadUserFile(const std::string& path);

// The line as a JSON object that has no members but these. INVALID_ARGUMENT.
absl::StatusOr<nlohmann::json> ParseRecord(const std::string& line, const std::vector<std::string>& known);

// A whole number that 32 bits hold.
std::optional<uint32_t> AsUint32(const nlohmann::json& value);

// A value as an error may quote it.
std::string Quoted(const nlohmann::json& value);

}  // namespace induct::client
