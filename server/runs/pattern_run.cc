#include "server/runs/pattern_run.h"

#include <array>
#include <span>

#include "absl/strings/str_cat.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/status.h"
#include "common/utf8.h"
#include "server/analysis/attention_pattern.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

class PatternRun : public ModelRun {
 public:
  PatternRun(RunRequest request, engine::Head head, uint32_t prompt, ResultEncoder<PatternResult> encode,
             const RunEnvironment& environment)
      : ModelRun(std::move(request), environment), head_(head), prompt_(prompt), encode_(std::move(encode)) {}

 protected:
  absl::Status PrepareMore(jobs::JobContext&) override {
    const size_t n_prompts = models()[0].prompts.prompts.size();
    if (prompt_ < n_prompts) return absl::OkStatus();
    return InvalidField("prompt",
                        absl::StrCat("there is no prompt ", prompt_, "; prompts are 0 to ", n_prompts - 1));
  }

  std::span<const analysis::Prompt> MeasuredPrompts(size_t index) const override {
    return std::span(models()[index].prompts.prompts).subspan(prompt_, 1);
  }

  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    const analysis::Prompt& prompt = MeasuredPrompts(0).front();
    const analysis::PatternOptions options{.batch_size = request().options.batch_size,
                                           .activation_budget = request().options.activation_budget};
    INDUCT_ASSIGN_OR_RETURN(const std::vector<float> pattern,
                            analysis::ReadAttentionPattern(*model, prompt.tokens, head_, options,
                                                           context.stop(), OnProgress(0, context)));
    const std::string& name = models()[0].file_name;
    const auto n_tokens = static_cast<int64_t>(prompt.tokens.size());
    const std::array<int64_t, 2> shape = {n_tokens, n_tokens};
    INDUCT_RETURN_IF_ERROR(
        SaveTo(context)(PatternArrayFile(name), "application/x-npy", NpyBytes(pattern, shape)));
    return SaveAndFinish(PatternFile(name), encode_(name, Describe(prompt)), {}, context);
  }

 private:
  PatternResult Describe(const analysis::Prompt& prompt) const {
    PatternResult result{.head = head_, .prompt = prompt_, .tokens = prompt.tokens, .n_bos = prompt.n_bos};
    if (const checkpoint::Tokenizer* tokenizer = models()[0].files->tokenizer()) {
      // A token may begin or end within a character.
      for (const int32_t& id : prompt.tokens)
        result.token_texts.push_back(ReplaceInvalidUtf8(tokenizer->Decode(std::span(&id, 1))));
    }
    const analysis::ProfileOptions& options = request().options;
    result.operations = analysis::FindCopyOperations(prompt.tokens, prompt.n_bos, options.score,
                                                     options.antecedents, options.min_lag);
    return result;
  }

  const engine::Head head_;
  const uint32_t prompt_;
  const ResultEncoder<PatternResult> encode_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewPatternRun(RunRequest request, engine::Head head, uint32_t prompt,
                                          ResultEncoder<PatternResult> encode,
                                          const RunEnvironment& environment) {
  return std::make_unique<PatternRun>(std::move(request), head, prompt, std::move(encode), environment);
}

}  // namespace induct::runs
