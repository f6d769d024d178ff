// Prompts of the user's own, from files.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "client/record_file.h"
#include "google/protobuf/message.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// Prompts as a file of records: those of a profile's spec, and an ablation's control prompts.
const RecordKind& GivenPrompts();
const RecordKind& ControlPrompts();

// Adds the prompts of a file to the field of `holder` that `kind`, one of these two, says. A file named
// *.txt: a prompt a line, blank lines skipped. *.jsonl: an object a line with `text` or `token_ids`, and
// perhaps `task`, `lag`, `n_bos`, as a run's prompts_<model>.jsonl holds them; token ids win over text, so
// that such a file repeats its run exactly. INVALID_ARGUMENT naming file and line for anything else; a file
// that can't be read has the exit code kUsage.
absl::Status ReadPromptFile(const std::string& path, const RecordKind& kind,
                            google::protobuf::Message* holder);

// Adds those of a .npy file with whole numbers [n_prompts, length]. Errors as above.
absl::Status ReadTokenFile(const std::string& path, v1::ProfileSpec* spec);

}  // namespace induct::client
