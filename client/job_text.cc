#include "client/job_text.h"

#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"

namespace induct::client {
namespace {

constexpr char kJobPrefix[] = "jobs/";

}  // namespace

std::string StateWord(v1::Job::State state) {
  const std::string& name = v1::Job::State_Name(state);
  if (name.empty()) return absl::StrCat("state ", static_cast<int>(state));
  return absl::AsciiStrToLower(absl::StripPrefix(name, "STATE_"));
}

std::vector<std::string> StateWords() {
  std::vector<std::string> words;
  const google::protobuf::EnumDescriptor* states = v1::Job::State_descriptor();
  for (int i = 0; i < states->value_count(); ++i) {
    const int number = states->value(i)->number();
    if (number != v1::Job::STATE_UNSPECIFIED) words.push_back(StateWord(static_cast<v1::Job::State>(number)));
  }
  return words;
}

absl::StatusOr<v1::Job::State> ParseState(const std::string& word) {
  v1::Job::State state;
  const std::string name = absl::StrCat("STATE_", absl::AsciiStrToUpper(word));
  if (v1::Job::State_Parse(name, &state) && state != v1::Job::STATE_UNSPECIFIED) return state;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", word, "\" is no state of a job: ", absl::StrJoin(StateWords(), ", ")));
}

std::string FullJobName(const std::string& name) {
  return absl::StartsWith(name, kJobPrefix) ? name : absl::StrCat(kJobPrefix, name);
}

}  // namespace induct::client
