#include "client/repeat_flags.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/kinds.h"
#include "client/text.h"
#include "common/file_names.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

std::string LabelFlag(const std::vector<std::string>& labels) {
  return absl::StrCat("--labels ", absl::StrJoin(labels, " ", [](std::string* out, const std::string& label) {
                        absl::StrAppend(out, ShellQuoted(Printable(label)));
                      }));
}

}  // namespace

std::string FlagsToRepeat(const v1::JobSpec& spec, const std::string& first_model,
                          const std::vector<std::string>& labels) {
  const std::string first = ModelFileName(first_model);
  std::vector<std::string> flags;
  if (ProfileOf(spec).n_given_prompts() > 0)
    flags.push_back(absl::StrCat("--prompts RUN/", PromptsFile(first)));
  const AnalysisKind& kind = *KindOfSpec(spec);
  if (kind.flags_to_repeat != nullptr) {
    for (std::string& flag : kind.flags_to_repeat(spec, first)) flags.push_back(std::move(flag));
  }
  if (labels != ModelsOf(spec)) flags.push_back(LabelFlag(labels));
  return absl::StrJoin(flags, " ");
}

}  // namespace induct::client
