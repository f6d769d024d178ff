#include "server/engine/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>

#include <string_view>

namespace induct::engine {
namespace {

std::string_view GeluForm(Activation activation) {
  return activation == Activation::kGeluTanh ? "tanh" : "none";
}

// oneDNN's linear layer with a fused activation. In float32 it runs at twice the rate of at::linear, which
// goes to MKL (docs/performance.md); it has no declaration in C++, so it is looked up by name.
using OneDnnLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                std::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<std::string_view>);

const c10::TypedOperatorHandle<OneDnnLinear>* FindOneDnnLinear() {
  static const auto found = []() -> std::optional<c10::TypedOperatorHandle<OneDnnLinear>> {
    const auto handle = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!handle || !handle->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
    return handle->typed<OneDnnLinear>();
  }();
  return found ? &*found : nullptr;
}

}  // namespace

at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input, std::optional<Activation> activation) {
  const bool float32_on_cpu = input.is_cpu() && input.scalar_type() == at::kFloat;
  if (const auto* one_dnn = float32_on_cpu ? FindOneDnnLinear() : nullptr) {
    return one_dnn->call(input, linear.weight, linear.bias, activation ? "gelu" : "none",
                         /*scalars=*/c10::List<std::optional<at::Scalar>>(),
                         activation ? std::optional(GeluForm(*activation)) : std::nullopt);
  }
  const at::Tensor output = at::linear(input, linear.weight, linear.bias);
  return activation ? at::gelu(output, GeluForm(*activation)) : output;
}

}  // namespace induct::engine
