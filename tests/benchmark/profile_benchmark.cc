// How fast a profile's pass is, at the shape of a Pythia model with random weights, beside its matrix
// products alone, measured in turn in the same process. Run it on a quiet machine:
//
//   build/release/bin/profile_benchmark --model pythia-410m --prompts 64 --dtype bfloat16 [--help]
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/threads.h"
#include "server/engine/device.h"
#include "server/engine/engine.h"
#include "server/engine/linear.h"
#include "tests/benchmark/benchmark_model.h"
#include "tests/benchmark/operation_times.h"

namespace induct::engine {
namespace {

// Floating-point operations of a pass over prompts of one length: linear layers and causal attention; of the
// last layer its queries and keys and their scores.
double PassFlop(const DecoderSpec& spec, double n_prompts, double length) {
  const auto d = static_cast<double>(spec.d_model), f = static_cast<double>(spec.d_mlp);
  const double pairs = length * (length + 1) / 2;
  const double scores = 2 * pairs * d;
  const double layer = 2 * length * (4 * d * d + 2 * d * f) + 2 * scores;
  const double last_layer = 2 * length * 2 * d * d + scores;
  return n_prompts * (static_cast<double>(spec.n_layers - 1) * layer + last_layer);
}

// "RssAnon" is what the process uses now, in MiB. "VmHWM" would count mapped library pages too.
double AnonymousMiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:"))
      return std::strtod(line.c_str() + std::strlen("RssAnon:"), nullptr) / 1024;
  }
  return 0;
}

struct Options {
  std::string model = "pythia-160m", dtype = "float32", device = "auto";
  int prompts = 64, tokens = 256, repeats = 5, batch_size = 0;
  bool memory_saver = false, operations = false;
};

// Rates in GFLOP/s.
struct Rates {
  double plain = 0;   // at::linear over the linear layers of one layer of the model
  double engine = 0;  // the engine's own linear layer over the same
  double packed = 0;  // the same with weights packed by oneDNN for as many rows; 0: not on this device
  double square = 0;  // a product of two large square matrices: what the device can do
};

// `weight` as oneDNN would lay it out for products with n_rows rows; undefined where there is no such layout.
at::Tensor Packed(const at::Tensor& weight, int64_t n_rows) {
  const auto pack = c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_linear_weight", ""});
  if (!pack || !weight.is_cpu() || weight.scalar_type() == at::kHalf) return {};
  torch::jit::Stack stack = {weight, n_rows};
  try {
    pack->callBoxed(&stack);
  } catch (const std::exception&) {  // bfloat16 on a processor that oneDNN has nothing for
    return {};
  }
  return stack.back().toTensor();
}

// The products that a layer consists of, on random numbers.
class Products {
 public:
  Products(const DecoderSpec& spec, c10::ScalarType dtype, c10::Device device)
      : n_rows_(device.is_cpu() ? 2048 : 16384) {
    const auto random = [&](int64_t rows, int64_t columns) {
      return at::rand({rows, columns}, at::TensorOptions().device(device).dtype(dtype));
    };
    const int64_t d = spec.d_model, f = spec.d_mlp, side = device.is_cpu() ? 2048 : 8192;
    for (const auto& [out, in] : {std::pair{3 * d, d}, {d, d}, {f, d}, {d, f}}) {
      const Linear linear = {.weight = random(out, in), .bias = random(1, out)[0]};
      layers_.push_back({.linear = linear,
                         .packed = {.weight = Packed(linear.weight, n_rows_), .bias = linear.bias},
                         .input = random(n_rows_, in)});
      flop_ += 2.0 * static_cast<double>(n_rows_ * out * in);
    }
    square_ = random(side, side);
  }

  Rates Measure() const {
    const c10::InferenceMode inference;
    const auto rate = [](double flop, const auto& multiply) {
      const int times = static_cast<int>(flop < 1e12 ? 3e11 / flop : 20) + 1;
      Wait(multiply());
      const double seconds = Seconds([&] {
        for (int i = 1; i < times; ++i) multiply();
        Wait(multiply());
      });
      return times * flop / seconds / 1e9;
    };
    const auto all = [&](const auto& multiply) {
      return rate(flop_, [&] {
        at::Tensor last;
        for (const Layer& layer : layers_) last = multiply(layer);
        return last;
      });
    };
    const auto side = static_cast<double>(square_.size(0));
    return {.plain = all([](const Layer& layer) {
              return at::linear(layer.input, layer.linear.weight, layer.linear.bias);
            }),
            .engine = all([](const Layer& layer) { return ApplyLinear(layer.linear, layer.input); }),
            .packed = layers_.front().packed.weight.defined()
                          ? all([](const Layer& layer) { return ApplyLinear(layer.packed, layer.input); })
                          : 0,
            .square = rate(2 * side * side * side, [&] { return at::matmul(square_, square_); })};
  }

 private:
  struct Layer {
    Linear linear, packed;
    at::Tensor input;
  };

  // Until the device has computed it.
  static void Wait(const at::Tensor& result) { result.narrow(0, 0, 1).cpu(); }

  const int64_t n_rows_;
  double flop_ = 0;
  std::vector<Layer> layers_;
  at::Tensor square_;
};

void Run(const Options& options) {
  const DecoderSpec spec = PythiaShape(options.model);
  const std::optional<DType> dtype = ParseDType(options.dtype);
  Check(dtype ? absl::OkStatus() : absl::InvalidArgumentError("dtype must be float32, bfloat16 or float16"));
  const absl::StatusOr<std::string> device = ResolveDevice(options.device);
  Check(device.status());
  SetThreads(AvailableCores());
  const Products products(spec, ToScalarType(*dtype), *FindDevice(*device));
  const double load_start_mib = AnonymousMiB();
  absl::StatusOr<std::unique_ptr<Model>> model = absl::UnknownError("");
  const double load_seconds = Seconds([&] {
    model = LoadModel(spec, RandomWeights(spec, *dtype == DType::kFloat32 ? *dtype : DType::kBFloat16),
                      {.device = *device, .dtype = *dtype, .stream_layers = options.memory_saver}, {});
  });
  Check(model.status());

  std::mt19937 random(2);
  std::vector<RepeatedPrompt> prompts;
  for (int i = 0; i < options.prompts; ++i) prompts.emplace_back(options.tokens, spec.vocab_size, random);
  Pass pass = PassOver(prompts);
  pass.batch_size = options.batch_size;
  double peak_mib = 0;
  pass.on_progress = [&](double) { peak_mib = std::max(peak_mib, AnonymousMiB()); };
  const double before_mib = AnonymousMiB();

  std::vector<double> seconds;
  std::vector<Rates> rates;
  // Interleaved, so that a busy moment slows both; the first round warms up.
  for (int i = 0; i < options.repeats + 1; ++i) {
    const double of_pass = Seconds([&] { Check((*model)->Run(pass, {})); });
    const Rates of_products = products.Measure();
    if (i == 0) continue;
    seconds.push_back(of_pass);
    rates.push_back(of_products);
  }

  const double tokens = static_cast<double>(options.prompts) * options.tokens;
  const double flop = PassFlop(spec, options.prompts, options.tokens);
  const double rate = flop / Median(seconds) / 1e9;
  std::printf("%s's shape, %s%s, on %s: %d prompts of %d tokens, median of %d\n", options.model.c_str(),
              options.dtype.c_str(), options.memory_saver ? ", memory_saver" : "",
              DeviceDescription(*device).c_str(), options.prompts, options.tokens, options.repeats);
  std::printf("load          %9.2f s\n", load_seconds);
  std::printf("pass          %9.4f s %9.0f tokens/s %9.0f GFLOP/s (%.2f TFLOP)\n", Median(seconds),
              tokens / Median(seconds), rate, flop / 1e12);
  const auto print = [&](const char* name, double Rates::*of) {
    std::vector<double> values;
    for (const Rates& measured : rates) values.push_back(measured.*of);
    const double median = Median(values);
    if (median == 0) return;
    std::printf("%-13s %9.0f GFLOP/s; the pass runs at %.2f of it\n", name, median, rate / median);
  };
  print("at::linear", &Rates::plain);
  print("its layers", &Rates::engine);
  print("packed", &Rates::packed);
  print("square", &Rates::square);
  std::printf(
      "anonymous MiB: %.0f loaded, %.0f more at most in a pass; weights %.0f, residual streams %.0f\n",
      before_mib - load_start_mib, peak_mib - before_mib,
      static_cast<double>((*model)->resident_bytes()) / (1 << 20),
      tokens * static_cast<double>(spec.d_model * sizeof(float)) / (1 << 20));
  if (!options.operations) return;
  const OperationTimes times;
  const double with_times = Seconds([&] { Check((*model)->Run(pass, {})); });
  std::printf("one more pass, %.2f s, by operation:\n", with_times);
  times.Print(with_times);
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("How fast a profile's pass is");
  app.option_defaults()->always_capture_default();
  app.add_option("--model", options.model, "pythia-70m ... pythia-12b: the shape");
  app.add_option("--prompts", options.prompts, "how many")->check(CLI::PositiveNumber);
  app.add_option("--tokens", options.tokens, "of a prompt")->check(CLI::Range(2, 2048));
  app.add_option("--dtype", options.dtype, "float32, bfloat16 or float16");
  app.add_option("--device", options.device, "auto, cpu, cuda or cuda:N");
  app.add_option("--repeats", options.repeats, "passes measured")->check(CLI::PositiveNumber);
  app.add_option("--batch_size", options.batch_size, "prompts in a micro-batch; 0: the engine's choice");
  app.add_flag("--operations", options.operations, "also where the time goes, by operation");
  app.add_flag("--memory_saver", options.memory_saver, "stream the layers");
  CLI11_PARSE(app, argc, argv);
  Run(options);
  return 0;
}

}  // namespace
}  // namespace induct::engine

int main(int argc, char** argv) { return induct::engine::Main(argc, argv); }
