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

// oneDNN's linear layer, with an activation where one is wanted. It has no declaration in C++, so it is
// looked up by name, as is what packs its weights.
using OneDnnLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                std::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<std::string_view>);
using OneDnnPack = at::Tensor(const at::Tensor&, std::optional<int64_t>);

template <typename Operator>
std::optional<c10::TypedOperatorHandle<Operator>> FindOperator(const char* name) {
  const auto found = c10::Dispatcher::singleton().findSchema({name, ""});
  if (!found || !found->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
  return found->typed<Operator>();
}

const std::optional<c10::TypedOperatorHandle<OneDnnLinear>>& OneDnnLinearOperator() {
  static const auto found = FindOperator<OneDnnLinear>("mkldnn::_linear_pointwise");
  return found;
}

const std::optional<c10::TypedOperatorHandle<OneDnnPack>>& OneDnnPackOperator() {
  static const auto found = FindOperator<OneDnnPack>("mkldnn::_reorder_linear_weight");
  return found;
}

at::Tensor CallOneDnn(const Linear& linear, const at::Tensor& input, std::optional<Activation> activation) {
  return OneDnnLinearOperator()->call(input, linear.weight, linear.bias, FusedName(activation),
                                      /*scalars=*/c10::List<std::optional<at::Scalar>>(),
                                      FusedForm(activation));
}

// Whether oneDNN's own activations are as fast as LibTorch's: with AVX-512. With AVX2 they take two to three
// times as long (docs/performance.md).
bool FusesWell() {
  static const bool fuses_well = at::get_cpu_capability() == "AVX512";
  return fuses_well;
}

// By trying: whether a processor has what a dtype needs is oneDNN's to know.
bool TryOneDnn(c10::ScalarType dtype, bool packed) {
  if (!OneDnnLinearOperator() || (packed && !OneDnnPackOperator())) return false;
  const at::Tensor weight = at::zeros({1, 1}, dtype);
  try {
    CallOneDnn({.weight = packed ? PackWeight(weight, 1) : weight}, at::zeros({1, 1}, dtype), std::nullopt);
  } catch (const std::exception&) {  // oneDNN's own, not c10::Error
    return false;
  }
  return true;
}

template <c10::ScalarType kDtype>
bool HasOneDnn(bool packed) {
  static const bool plain = TryOneDnn(kDtype, false);
  static const bool with_packed = plain && TryOneDnn(kDtype, true);
  return packed ? with_packed : plain;
}

}  // namespace

at::Tensor ApplyLinear(const Linear& linear, const at::Tensor& input, std::optional<Activation> activation) {
  const at::Tensor values = input.to(linear.weight.scalar_type());
  const LinearMethod method = !values.is_cpu() ? LinearMethod()
                              : linear.method  ? *linear.method
                                               : DefaultMethod(values.scalar_type());
  if (method.product != LinearProduct::kAten && method.fuses_activation) {
    return CallOneDnn(linear, values, activation);
  }
  at::Tensor output = method.product == LinearProduct::kAten ? at::linear(values, linear.weight, linear.bias)
                                                             : CallOneDnn(linear, values, std::nullopt);
  if (activation) Activate(*activation, output, output);
  return output;
}

at::Tensor ApplyFirstOutputs(const Linear& linear, int64_t n_outputs, const at::Tensor& input) {
  if (linear.weight.is_mkldnn()) return ApplyLinear(linear, input).narrow(1, 0, n_outputs);
  return ApplyLinear({.weight = linear.weight.narrow(0, 0, n_outputs),
                      .bias = linear.bias.defined() ? linear.bias.narrow(0, 0, n_outputs) : at::Tensor(),
                      .method = linear.method},
                     input);
}

LinearMethod DefaultMethod(c10::ScalarType dtype) {
  if (!HasProduct(LinearProduct::kOneDnn, dtype)) return {};
  return {.product = LinearProduct::kOneDnn, .fuses_activation = FusesWell()};
}

bool HasProduct(LinearProduct product, c10::ScalarType dtype) {
  if (product == LinearProduct::kAten) return true;
  const bool packed = product == LinearProduct::kOneDnnPacked;
  if (dtype == at::kFloat) return HasOneDnn<at::kFloat>(packed);
  if (dtype == at::kBFloat16) return HasOneDnn<at::kBFloat16>(packed);
  return false;  // float16 is the reference, and nothing is fast there on a CPU
}

at::Tensor PackWeight(const at::Tensor& weight, int64_t n_rows) {
  return OneDnnPackOperator()->call(weight, n_rows);
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
