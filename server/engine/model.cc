// The Model that LoadModel returns: weights, and passes over them.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <span>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/status.h"
#include "server/engine/engine.h"
#include "server/engine/errors.h"
#include "server/engine/layer_pass.h"
#include "server/engine/model_products.h"
#include "server/engine/validation.h"
#include "server/engine/variant_groups.h"
#include "server/engine/variant_pass.h"
#include "server/engine/weight_store.h"

namespace induct::engine {
namespace {

// Of all variants together.
int64_t PredictedTokens(const AblationPass& pass) {
  size_t n_tokens = 0;
  for (const std::span<const int32_t> prompt : pass.prompts) n_tokens += prompt.size();
  return static_cast<int64_t>(n_tokens * pass.variants.size());
}

class DecoderModel : public Model {
 public:
  DecoderModel(const DecoderSpec& spec, const LoadOptions& options, std::unique_ptr<WeightStore> weights)
      : spec_(spec),
        options_(options),
        weights_(std::move(weights)),
        products_(spec_, options_.linear_chooser, *weights_) {}

  const DecoderSpec& spec() const override { return spec_; }
  const LoadOptions& options() const override { return options_; }
  int64_t resident_bytes() const override { return weights_->resident_bytes(); }

  absl::StatusOr<std::vector<LinearUse>> ChooseLinear(int64_t n_tokens, std::stop_token stop) override {
    INDUCT_RETURN_IF_ERROR(Compute([&] { return products_.SettleLayers(n_tokens, stop); }));
    return products_.uses();
  }

  absl::Status Run(const Pass& pass, std::stop_token stop) override {
    INDUCT_RETURN_IF_ERROR(ValidatePass(spec_, pass));
    return Compute([&] { return LayerPass(spec_, *weights_, pass, options_.on_halving, stop).Run(); });
  }

  absl::Status RunVariants(const AblationPass& pass, std::stop_token stop) override {
    INDUCT_RETURN_IF_ERROR(ValidateAblationPass(spec_, pass));
    return Compute([&] {
      products_.SettleUnembedding(PredictedTokens(pass), stop);
      return RunInGroups(pass, weights_->BytesPerToken(), [&](const AblationPass& group) {
        return VariantPass(spec_, *weights_, group, options_.on_halving, stop).Run();
      });
    });
  }

 private:
  static absl::Status Compute(absl::FunctionRef<absl::Status()> pass) {
    return CatchErrors([&] {
      at::init_num_threads();  // OpenMP keeps the number of threads per calling thread
      const c10::InferenceMode inference;
      const at::NoTF32Guard float32_is_float32;  // whatever the process was told
      return pass();
    });
  }

  const DecoderSpec spec_;
  const LoadOptions options_;
  const std::unique_ptr<WeightStore> weights_;
  ModelProducts products_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadModel(const DecoderSpec& spec,
                                                 std::shared_ptr<const TensorSource> source,
                                                 const LoadOptions& options, std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<WeightStore> weights,
                          WeightStore::Load(spec, std::move(source), options, std::move(stop)));
  return std::make_unique<DecoderModel>(spec, options, std::move(weights));
}

}  // namespace induct::engine
