#include "server/runs/causal_run.h"

#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

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

std::unique_ptr<jobs::Work> NewCausalRun(RunRequest request, const analysis::CausalOptions& causal,
                                         std::vector<GivenPrompt> control_prompts,
                                         ResultEncoder<analysis::CausalResult> encode,
                                         const RunEnvironment& environment) {
  return std::make_unique<CausalRun>(std::move(request), causal, std::move(control_prompts),
                                     std::move(encode), environment);
}

}  // namespace induct::runs
