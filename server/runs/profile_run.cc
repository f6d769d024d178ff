#include "server/runs/profile_run.h"

#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

class ProfileRun : public ModelRun {
 public:
  using ModelRun::ModelRun;

 protected:
  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    INDUCT_ASSIGN_OR_RETURN(
        const analysis::ProfileResult result,
        analysis::MeasureProfile(*model, models()[0].prompts.prompts, request().options, context.stop(),
                                 OnLayer(0, context), OnProgress(0, context)));
    INDUCT_ASSIGN_OR_RETURN(const EncodedResult encoded, SaveProfile(0, result, context));
    return Finish(encoded, result.warnings, context);
  }
};

}  // namespace

std::unique_ptr<jobs::Work> NewProfileRun(RunRequest request, const RunEnvironment& environment) {
  return std::make_unique<ProfileRun>(std::move(request), environment);
}

}  // namespace induct::runs
