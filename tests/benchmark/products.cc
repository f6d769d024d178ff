#include "tests/benchmark/products.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>

#include "server/engine/linear.h"
#include "server/engine/linear_chooser.h"
#include "server/engine/micro_batch_runner.h"
#include "tests/benchmark/benchmark_model.h"

namespace induct::engine {
namespace {

// Until the device has computed it.
void WaitFor(const at::Tensor& result) { result.narrow(0, 0, 1).cpu(); }

// MKL on weights that it has packed: for this number of rows alone, and beside the plain weights, so no model
// uses it. Nothing where LibTorch has no such product.
std::function<at::Tensor()> MklPacked(const Linear& linear, const at::Tensor& input) {
  const auto pack = c10::Dispatcher::singleton().findSchema({"mkl::_mkl_reorder_linear_weight", ""});
  const auto multiply = c10::Dispatcher::singleton().findSchema({"mkl::_mkl_linear", ""});
  if (!pack || !multiply || !input.is_cpu() || input.scalar_type() != at::kFloat) return {};
  torch::jit::Stack packing = {linear.weight, input.size(0)};
  pack->callBoxed(&packing);
  return [linear, input, multiply = *multiply, packed = packing.back().toTensor()] {
    torch::jit::Stack stack = {input, packed, linear.weight, linear.bias, input.size(0)};
    multiply.callBoxed(&stack);
    return stack.back().toTensor();
  };
}

std::string NameOf(const LinearMethod& method) {
  return std::string(LinearProductName(method.product)) + (method.fuses_activation ? "+activation" : "");
}

}  // namespace

struct Products::Shape {
  int64_t n_rows, n_in, n_out;
  double flop;
  std::string of_model;  // the name of the product that the model uses
  std::map<std::string, std::function<at::Tensor()>> products;
  std::map<std::string, std::vector<double>> seconds;

  double Time(const std::string& name) const { return Median(seconds.at(name)); }
  double Fastest() const {
    double least = Time(of_model);
    for (const auto& [name, times] : seconds) least = std::min(least, Median(times));
    return least;
  }
};

Products::Products(const DecoderSpec& spec, const std::vector<LinearUse>& uses, c10::ScalarType dtype,
                   c10::Device device) {
  const c10::InferenceMode inference;
  const auto random = [&](int64_t rows, int64_t columns) {
    return at::rand({rows, columns}, at::TensorOptions().device(device).dtype(dtype));
  };
  const int64_t d = spec.d_model, f = spec.d_mlp, n_rows = MicroBatchTokens(device);
  const std::pair<int64_t, int64_t> sizes[] = {{d, 3 * d}, {d, d}, {d, f}, {f, d}};
  for (size_t i = 0; i < std::size(sizes); ++i) {
    const auto [n_in, n_out] = sizes[i];
    const LinearShape linear_shape = {
        .n_rows = n_rows, .n_in = n_in, .n_out = n_out, .dtype = dtype, .may_pack = device.is_cpu()};
    const Linear plain = {.weight = random(n_out, n_in), .bias = random(1, n_out)[0]};
    const at::Tensor input = random(n_rows, n_in);
    Shape shape = {.n_rows = n_rows, .n_in = n_in, .n_out = n_out, .flop = linear_shape.Flop()};
    for (LinearMethod method :
         device.is_cpu() ? CandidateMethods(linear_shape) : std::vector<LinearMethod>{{}}) {
      method.fuses_activation = false;  // the products alone
      Linear linear = plain;
      linear.method = method;
      if (method.product == LinearProduct::kOneDnnPacked) linear.weight = PackWeight(plain.weight, n_rows);
      shape.products[NameOf(method)] = [linear, input] { return ApplyLinear(linear, input); };
    }
    if (auto packed = MklPacked(plain, input)) shape.products["mkl_packed"] = std::move(packed);
    LinearMethod of_model = uses.empty() ? DefaultMethod(dtype) : uses[i].choice.method;
    of_model.fuses_activation = false;
    shape.of_model = device.is_cpu() ? NameOf(of_model) : NameOf({});
    shapes_.push_back(std::move(shape));
  }
  const int64_t side = device.is_cpu() ? 2048 : 8192;
  square_ = random(side, side);
}

Products::~Products() = default;

void Products::Measure() {
  const c10::InferenceMode inference;
  const auto time = [](double flop, const std::function<at::Tensor()>& multiply) {
    const int times = static_cast<int>(flop < 5e11 ? 2e10 / flop : 20) + 1;
    WaitFor(multiply());
    return Seconds([&] {
             for (int i = 1; i < times; ++i) multiply();
             WaitFor(multiply());
           }) /
           times;
  };
  for (Shape& shape : shapes_) {
    for (const auto& [name, product] : shape.products)
      shape.seconds[name].push_back(time(shape.flop, product));
  }
  const auto side = static_cast<double>(square_.size(0));
  square_seconds_.push_back(time(2 * side * side * side, [&] { return at::matmul(square_, square_); }));
}

double Products::Together(const std::vector<double>& seconds) const {
  double flop = 0, sum = 0;
  for (size_t i = 0; i < shapes_.size(); ++i) {
    flop += shapes_[i].flop;
    sum += seconds[i];
  }
  return flop / sum / 1e9;
}

double Products::OfAten() const {
  std::vector<double> seconds;
  for (const Shape& shape : shapes_) seconds.push_back(shape.Time(NameOf({})));
  return Together(seconds);
}

double Products::OfModel() const {
  std::vector<double> seconds;
  for (const Shape& shape : shapes_) seconds.push_back(shape.Time(shape.of_model));
  return Together(seconds);
}

double Products::OfFastest() const {
  std::vector<double> seconds;
  for (const Shape& shape : shapes_) seconds.push_back(shape.Fastest());
  return Together(seconds);
}

double Products::OfSquare() const {
  const auto side = static_cast<double>(square_.size(0));
  return 2 * side * side * side / Median(square_seconds_) / 1e9;
}

double Products::Highest() const {
  double highest = OfSquare();
  for (const Shape& shape : shapes_) highest = std::max(highest, shape.flop / shape.Fastest() / 1e9);
  return highest;
}

void Products::Print() const {
  for (const Shape& shape : shapes_) {
    std::printf("%6lld x %5lld x %5lld:", static_cast<long long>(shape.n_rows),
                static_cast<long long>(shape.n_in), static_cast<long long>(shape.n_out));
    for (const auto& [name, seconds] : shape.seconds) {
      std::printf("  %s%s %.0f", name.c_str(), name == shape.of_model ? " (used)" : "",
                  shape.flop / Median(seconds) / 1e9);
    }
    std::printf("\n");
  }
}

}  // namespace induct::engine
