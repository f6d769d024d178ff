#include "server/runs/nulls_run.h"

#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

class NullsRun : public ModelRun {
 public:
  NullsRun(RunRequest request, const analysis::NullOptions& nulls,
           ResultEncoder<analysis::NullsResult> encode, const RunEnvironment& environment)
      : ModelRun(std::move(request), environment), nulls_(nulls), encode_(std::move(encode)) {}

 protected:
  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    INDUCT_ASSIGN_OR_RETURN(
        const analysis::NullsResult result,
        analysis::MeasureNulls(*model, models()[0].prompts.prompts, request().options, nulls_, context.stop(),
                               OnLayer(0, context), OnProgress(0, context)));
    INDUCT_RETURN_IF_ERROR(SaveProfile(0, result.profile, context).status());
    const std::string& name = models()[0].file_name;
    return SaveAndFinish(NullsFile(name), encode_(name, result), result.profile.warnings, context);
  }

 private:
  const analysis::NullOptions nulls_;
  const ResultEncoder<analysis::NullsResult> encode_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewNullsRun(RunRequest request, const analysis::NullOptions& nulls,
                                        ResultEncoder<analysis::NullsResult> encode,
                                        const RunEnvironment& environment) {
  return std::make_unique<NullsRun>(std::move(request), nulls, std::move(encode), environment);
}

}  // namespace induct::runs
