#include "server/runs/causal_run.h"

#include <span>

#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

// Of all layers, those from an arm's first ablated one on, which it shares with no other: k heads anywhere
// begin after a (k + 1)th of the layers, the best heads lie in the middle.
constexpr double kOwnLayers = 0.7;

int64_t TokensOf(std::span<const analysis::Prompt> prompts) {
  size_t n_tokens = 0;
  for (const analysis::Prompt& prompt : prompts) n_tokens += prompt.tokens.size();
  return static_cast<int64_t>(n_tokens);
}

class CausalRun : public ModelRun {
 public:
  CausalRun(RunRequest request, const analysis::CausalOptions& causal,
            std::vector<GivenPrompt> control_prompts, ResultEncoder<analysis::CausalResult> encode,
            const RunEnvironment& environment)
      : ModelRun(std::move(request), environment),
        causal_(causal),
        given_controls_(std::move(control_prompts)),
        encode_(std::move(encode)) {}

 protected:
  absl::Status PrepareMore(jobs::JobContext& context) override {
    if (given_controls_.empty()) return absl::OkStatus();
    PromptRequest controls = request().prompts;
    controls.given = std::move(given_controls_);
    controls.given_field = "control_prompts";
    INDUCT_ASSIGN_OR_RETURN(controls_, MakePrompts(controls, models()[0].files, context.stop()));
    return WritePromptFile(ControlPromptsFile(models()[0].file_name), controls_.prompts, SaveTo(context));
  }

  engine::LinearWork ToCompute(size_t index) const override {
    return CausalWork(TokensOf(models()[index].prompts.prompts), TokensOf(controls_.prompts), causal_);
  }

  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    INDUCT_ASSIGN_OR_RETURN(
        const analysis::CausalResult result,
        analysis::MeasureCausal(*model, models()[0].prompts.prompts, controls_.prompts, request().options,
                                causal_, context.stop(), OnLayer(0, context), OnProgress(0, context)));
    std::vector<std::string> warnings;
    for (const std::string& warning : controls_.warnings) warnings.push_back("control prompts: " + warning);
    warnings.insert(warnings.end(), result.warnings.begin(), result.warnings.end());
    const std::string& name = models()[0].file_name;
    return SaveAndFinish(CausalFile(name), encode_(name, result), warnings, context);
  }

 private:
  const analysis::CausalOptions causal_;
  std::vector<GivenPrompt> given_controls_;
  PromptSet controls_;
  const ResultEncoder<analysis::CausalResult> encode_;
};

}  // namespace

engine::LinearWork CausalWork(int64_t n_tokens, int64_t n_control_tokens,
                              const analysis::CausalOptions& causal) {
  const int64_t n_evaluated = n_tokens / 2 + n_control_tokens;
  const int64_t n_ablated = 1 + 2 * int64_t{causal.random_draws};  // arms: the top heads, and two controls
  const auto of_ablated = static_cast<int64_t>(kOwnLayers * static_cast<double>(n_ablated * n_evaluated));
  return {.n_tokens = (n_tokens - n_tokens / 2) + n_evaluated + of_ablated,
          .n_logits = (1 + n_ablated) * n_evaluated};
}

std::unique_ptr<jobs::Work> NewCausalRun(RunRequest request, const analysis::CausalOptions& causal,
                                         std::vector<GivenPrompt> control_prompts,
                                         ResultEncoder<analysis::CausalResult> encode,
                                         const RunEnvironment& environment) {
  return std::make_unique<CausalRun>(std::move(request), causal, std::move(control_prompts),
                                     std::move(encode), environment);
}

}  // namespace induct::runs
