// The job of Nulls.
#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

class NullsRun : public ModelRun {
 public:
  NullsRun(RunRequest request, const analysis::NullOptions& nulls, const RunEnvironment& environment)
      : ModelRun(std::move(request), environment), nulls_(nulls) {}

 protected:
  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    INDUCT_ASSIGN_OR_RETURN(
        const analysis::NullsResult result,
        analysis::MeasureNulls(*model, models()[0].prompts.prompts, request().options, nulls_, context.stop(),
                               OnLayer(0, context), OnProgress(0, context)));
    INDUCT_RETURN_IF_ERROR(SaveProfile(0, result.profile, context));
    INDUCT_RETURN_IF_ERROR(SaveJson(NullsFile(models()[0].file_name), 0, &result, context));
    return Finished(0, &result, result.profile.warnings, context);
  }

 private:
  const analysis::NullOptions nulls_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewNullsRun(RunRequest request, const analysis::NullOptions& nulls,
                                        const RunEnvironment& environment) {
  return std::make_unique<NullsRun>(std::move(request), nulls, environment);
}

}  // namespace induct::runs
