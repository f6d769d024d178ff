#include "server/engine/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>

#include <string_view>

namespace induct::engine {
namespace {

// oneDNN's words for an activation and its form.
std::string_view FusedName(std::optional<Activation> activation) {
  if (!activation) return "none";
  return *activation == Activation::kSilu ? "swish" : "gelu";
}

std::optional<std::string_view> FusedForm(std::optional<Activation> activation) {
  if (!activation || *activation == Activation::kSilu) return std::nullopt;
  return *activation == Activation::kGeluTanh ? "tanh" : "none";
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
  const at::Tensor values = input.to(linear.weight.scalar_type());
  const bool float32_on_cpu = values.is_cpu() && values.scalar_type() == at::kFloat;
  if (const auto* one_dnn = float32_on_cpu ? FindOneDnnLinear() : nullptr) {
    return one_dnn->call(values, linear.weight, linear.bias, FusedName(activation),
                         /*scalars=*/c10::List<std::optional<at::Scalar>>(), FusedForm(activation));
  }
  const at::Tensor output = at::linear(values, linear.weight, linear.bias);
  return activation ? Activate(*activation, output) : output;
}

at::Tensor Activate(Activation activation, const at::Tensor& input) {
  switch (activation) {
    case Activation::kGeluExact:
      return at::gelu(input, "none");
    case Activation::kGeluTanh:
      return at::gelu(input, "tanh");
    case Activation::kSilu:
      return at::silu(input);
  }
  return input;
}

}  // namespace induct::engine
