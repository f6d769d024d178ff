// Prompts of the user's own, from files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "induct/v1/settings.pb.h"

namespace induct::client {

// A file named *.txt: a prompt a line, blank lines skipped. *.jsonl: an object a line with `text` or
// `token_ids`, and perhaps `task`, `lag`, `n_bos`, as a run's prompts_<model>.jsonl holds them; token ids win
// over text, so that such a file repeats its run exactly. INVALID_ARGUMENT naming file and line for anything
// else; a file that can't be read has the exit code kUsage.
absl::StatusOr<std::vector<v1::Prompt>> ReadPromptFile(const std::string& path);

// A .npy file with whole numbers [n_prompts, length]. Errors as above.
absl::StatusOr<std::vector<v1::Prompt>> ReadTokenFile(const std::string& path);

// Prompts that a field of a spec got from a file.
struct PromptsOfFile {
  const google::protobuf::Message& holder;  // the message that has the field
  std::string field;
  std::string path;  // empty: from none
  bool are_rows;     // of a .npy file; else lines
};

// What a server says of a prompt, by its field "given_prompts[3]", with the user's own place instead of the
// field: "p.txt:7: prompt 3: it is ...", "t.npy, row 3: prompt 3: ...". Lines count from 1, prompts and rows
// from 0. A file that has changed meanwhile is named without a line; any other error comes back as it is.
absl::Status NameFileAndLine(const absl::Status& error, const PromptsOfFile& given);

}  // namespace induct::client
