#include "server/runs/lag_buckets_run.h"

#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

class LagBucketsRun : public ModelRun {
 public:
  LagBucketsRun(RunRequest request, std::vector<uint32_t> edges,
                ResultEncoder<analysis::LagBucketsResult> encode, const RunEnvironment& environment)
      : ModelRun(std::move(request), environment), edges_(std::move(edges)), encode_(std::move(encode)) {}

 protected:
  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    INDUCT_ASSIGN_OR_RETURN(
        const analysis::LagBucketsResult result,
        analysis::MeasureLagBuckets(*model, models()[0].prompts.prompts, request().options, edges_,
                                    context.stop(), OnLayer(0, context), OnProgress(0, context)));
    const std::string& name = models()[0].file_name;
    return SaveAndFinish(LagBucketsFile(name), encode_(name, result), result.warnings, context);
  }

 private:
  const std::vector<uint32_t> edges_;
  const ResultEncoder<analysis::LagBucketsResult> encode_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewLagBucketsRun(RunRequest request, std::vector<uint32_t> edges,
                                             ResultEncoder<analysis::LagBucketsResult> encode,
                                             const RunEnvironment& environment) {
  return std::make_unique<LagBucketsRun>(std::move(request), std::move(edges), std::move(encode),
                                         environment);
}

}  // namespace induct::runs
