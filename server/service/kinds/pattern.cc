// One head's attention pattern on one prompt.
#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/pattern_run.h"
#include "server/service/kinds/kinds.h"
#include "server/service/messages.h"

namespace induct::service {
namespace {

v1::AttentionPattern ToMessage(const std::string& model, const runs::PatternResult& result) {
  v1::AttentionPattern message;
  message.set_model(model);
  *message.mutable_head() = ToHeadRef(result.head);
  message.set_prompt(result.prompt);
  message.mutable_token_ids()->Assign(result.tokens.begin(), result.tokens.end());
  for (const std::string& text : result.token_texts) message.add_tokens(text);
  message.set_n_bos(result.n_bos);
  message.set_file(PatternArrayFile(model));
  for (const analysis::CopyOperation& operation : result.operations) {
    for (const uint32_t key : operation.keys) {
      v1::PatternTarget& target = *message.add_targets();
      target.set_query(operation.query);
      target.set_key(key);
    }
  }
  return message;
}

absl::Status CheckPattern(const v1::JobSpec& spec, const SpecLimits&) {
  if (spec.pattern().has_head()) return absl::OkStatus();
  return InvalidField("head", "a head is needed: layer and head");
}

std::unique_ptr<jobs::Work> MakePatternWork(const v1::JobSpec& spec, runs::RunRequest request,
                                            const runs::RunEnvironment& environment) {
  const v1::PatternSpec& pattern = spec.pattern();
  const auto encode = [](const std::string& model, const runs::PatternResult& result) {
    return Encode(ToMessage(model, result));
  };
  return runs::NewPatternRun(std::move(request), {pattern.head().layer(), pattern.head().head()},
                             pattern.prompt(), encode, environment);
}

}  // namespace

const JobKind kPatternKind = {.name = "pattern", .check = CheckPattern, .make_work = MakePatternWork};

}  // namespace induct::service
