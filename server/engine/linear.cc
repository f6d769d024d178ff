#include "server/engine/linear.h"

#include <ATen/Version.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>

#include <exception>
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

// oneDNN's linear layer, with an activation where one is wanted, up to twice as fast as at::linear
// (docs/performance.md). It has no declaration in C++, so it is looked up by name.
using OneDnnLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                std::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<std::string_view>);

using OneDnnHandle = c10::TypedOperatorHandle<OneDnnLinear>;

at::Tensor CallOneDnn(const OneDnnHandle& one_dnn, const Linear& linear, const at::Tensor& input,
                      std::optional<Activation> activation) {
  return one_dnn.call(input, linear.weight, linear.bias, FusedName(activation),
                      /*scalars=*/c10::List<std::optional<at::Scalar>>(), FusedForm(activation));
}

// Whether oneDNN's own activations are as fast as LibTorch's: with AVX-512. With AVX2 they take two to three
// times as long (docs/performance.md).
bool FusesWell() {
  static const bool fuses_well = at::get_cpu_capability() == "AVX512";
  return fuses_well;
}

// Nothing where LibTorch has no such operator, or the processor none for these numbers.
std::optional<OneDnnHandle> FindOneDnnLinear(c10::ScalarType dtype) {
  const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!found || !found->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
  const OneDnnHandle handle = found->typed<OneDnnLinear>();
  try {
    CallOneDnn(handle, {.weight = at::zeros({1, 1}, dtype)}, at::zeros({1, 1}, dtype), std::nullopt);
  } catch (const std::exception&) {  // oneDNN's own, not c10::Error
    return std::nullopt;
  }
  return handle;
}

// float16 is left to at::linear: the reference, and nothing is fast there on a CPU.
const std::optional<OneDnnHandle>& OneDnnLinearFor(const at::Tensor& input) {
  static const std::optional<OneDnnHandle> none;
  if (!input.is_cpu()) return none;
  if (input.scalar_type() == at::kFloat) {
    static const std::optional<OneDnnHandle> of_float32 = FindOneDnnLinear(at::kFloat);
    return of_float32;
  }
  if (input.scalar_type() == at::kBFloat16) {
    static const std::optional<OneDnnHandle> of_bfloat16 = FindOneDnnLinear(at::kBFloat16);
    return of_bfloat16;
  }
  return none;
}

}  // namespace

at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input, std::optional<Activation> activation) {
  const at::Tensor values = input.to(linear.weight.scalar_type());
  const auto& one_dnn = OneDnnLinearFor(values);
  if (one_dnn && FusesWell()) return CallOneDnn(*one_dnn, linear, values, activation);
  at::Tensor output = one_dnn ? CallOneDnn(*one_dnn, linear, values, std::nullopt)
                              : at::linear(values, linear.weight, linear.bias);
  if (activation) Activate(*activation, output, output);
  return output;
}

void Activate(Activation activation, const at::Tensor& input, at::Tensor output) {
  switch (activation) {
    case Activation::kGeluExact:
      at::gelu_out(output, input, "none");
      return;
    case Activation::kGeluTanh:
      at::gelu_out(output, input, "tanh");
      return;
    case Activation::kSilu:
      at::silu_out(output, input);
      return;
  }
}

}  // namespace induct::engine
