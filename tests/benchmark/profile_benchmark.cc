// How fast a profile's pass is, at the shape of a Pythia model with random weights, beside its matrix
// products alone, measured in turn in the same process. Run it on a quiet machine:
//
//   build/release/bin/profile_benchmark --model pythia-410m --prompts 64 --dtype bfloat16 [--help]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/threads.h"
#include "server/engine/device.h"
#include "server/engine/engine.h"
#include "server/engine/linear_choice.h"
#include "server/engine/processor.h"
#include "tests/benchmark/benchmark_model.h"
#include "tests/benchmark/machine_limit.h"
#include "tests/benchmark/operation_times.h"
#include "tests/benchmark/products.h"

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
  std::string model = "pythia-160m", dtype = "float32", device = "auto", linear = "auto";
  int prompts = 64, tokens = 256, repeats = 5, batch_size = 0, threads = 0;
  bool memory_saver = false, operations = false, products = false;
};

// What is measured with every pass, in turn, so that a busy moment slows all of them.
struct Rounds {
  std::vector<double> pass_seconds, limits;
};

void PrintRate(const char* name, double gflops, double of_pass) {
  if (gflops > 0)
    std::printf("%-13s %9.0f GFLOP/s; the pass runs at %.2f of it\n", name, gflops, of_pass / gflops);
}

void Run(const Options& options) {
  const DecoderSpec spec = PythiaShape(options.model);
  const std::optional<DType> dtype = ParseDType(options.dtype);
  Check(dtype ? absl::OkStatus() : absl::InvalidArgumentError("dtype must be float32, bfloat16 or float16"));
  const absl::StatusOr<std::string> device = ResolveDevice(options.device);
  Check(device.status());
  const int threads = options.threads > 0 ? options.threads : AvailableCores();
  SetThreads(threads);
  const auto new_chooser = [&] { return MakeLinearChooser(ParseLinearProduct(options.linear), nullptr); };
  const auto load = [&](std::shared_ptr<LinearChooser> chooser) {
    auto model = LoadModel(spec, RandomWeights(spec, *dtype == DType::kFloat32 ? *dtype : DType::kBFloat16),
                           {.device = *device,
                            .dtype = *dtype,
                            .stream_layers = options.memory_saver,
                            .linear_chooser = std::move(chooser)},
                           {});
    Check(model.status());
    return *std::move(model);
  };
  absl::StatusOr<std::vector<LinearUse>> uses = std::vector<LinearUse>();
  const auto choose = [&](Model& model) {
    const double seconds =
        Seconds([&] { uses = model.ChooseLinear(int64_t{options.prompts} * options.tokens, {}); });
    Check(uses.status());
    return seconds;
  };
  // What packing weights takes depends on the heap, which is as it stays from the second model on.
  double measuring_seconds = 0;
  for (int i = 0; i < 2; ++i) {
    const std::shared_ptr<LinearChooser> chooser = new_chooser();
    const double both = choose(*load(chooser));
    measuring_seconds = both - choose(*load(chooser));  // all shapes are known
  }
  const double load_start_mib = AnonymousMiB();
  std::unique_ptr<Model> model;
  const double load_seconds = Seconds([&] { model = load(new_chooser()); });

  std::mt19937 random(2);
  std::vector<RepeatedPrompt> prompts;
  for (int i = 0; i < options.prompts; ++i) prompts.emplace_back(options.tokens, spec.vocab_size, random);
  Pass pass = PassOver(prompts);
  pass.batch_size = options.batch_size;
  double peak_mib = 0;
  pass.on_progress = [&](double) { peak_mib = std::max(peak_mib, AnonymousMiB()); };
  const double before_mib = AnonymousMiB();

  const double choosing_seconds = choose(*model);
  Products products(spec, *uses, ToScalarType(*dtype), *FindDevice(*device));
  const bool on_cpu = *device == "cpu";

  Rounds rounds;
  // Another thread, as a server's: there the heap keeps other memory than in the first one.
  std::thread([&] {
    for (int i = 0; i < options.repeats + 1; ++i) {  // the first round warms up
      const double of_pass = Seconds([&] { Check(model->Run(pass, {})); });
      products.Measure();
      const double limit = on_cpu ? RegisterLimit(threads) : 0;
      if (i == 0) continue;
      rounds.pass_seconds.push_back(of_pass);
      rounds.limits.push_back(limit);
    }
  }).join();

  const double seconds = Median(rounds.pass_seconds);
  const double tokens = static_cast<double>(options.prompts) * options.tokens;
  const double flop = PassFlop(spec, options.prompts, options.tokens);
  const double rate = flop / seconds / 1e9;
  std::printf("%s's shape, %s%s, on %s: %d prompts of %d tokens, median of %d\n", options.model.c_str(),
              options.dtype.c_str(), options.memory_saver ? ", memory_saver" : "",
              on_cpu ? absl::StrCat(ProcessorDescription(), ", ", threads, " threads").c_str()
                     : DeviceDescription(*device).c_str(),
              options.prompts, options.tokens, options.repeats);
  std::printf("load          %9.2f s\n", load_seconds);
  std::printf("choose        %9.2f s, of which %.2f measuring\n", choosing_seconds, measuring_seconds);
  std::printf("pass          %9.4f s %9.0f tokens/s %9.0f GFLOP/s (%.2f TFLOP)\n", seconds, tokens / seconds,
              rate, flop / 1e12);
  PrintRate("at::linear", products.OfAten(), rate);
  PrintRate("its layers", products.OfModel(), rate);
  PrintRate("fastest", products.OfFastest(), rate);
  PrintRate("square", products.OfSquare(), rate);
  if (on_cpu && *dtype == DType::kFloat32)
    PrintRate("limit", std::max(Median(rounds.limits), products.Highest()), rate);
  if (options.products) products.Print();
  std::printf(
      "anonymous MiB: %.0f loaded, %.0f more at most in a pass; weights %.0f, residual streams %.0f\n",
      before_mib - load_start_mib, peak_mib - before_mib,
      static_cast<double>(model->resident_bytes()) / (1 << 20),
      tokens * static_cast<double>(spec.d_model * sizeof(float)) / (1 << 20));
  if (!options.operations) return;
  const OperationTimes times;
  const double with_times = Seconds([&] { Check(model->Run(pass, {})); });
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
  app.add_option("--linear", options.linear, "auto, aten, onednn or onednn_packed, as the server's setting");
  app.add_option("--threads", options.threads, "of an operation on a CPU; 0: the cores of the process");
  app.add_flag("--products", options.products,
               "also the rate of every product for each shape of the linear layers");
  app.add_flag("--operations", options.operations, "also where the time goes, by operation");
  app.add_flag("--memory_saver", options.memory_saver, "stream the layers");
  CLI11_PARSE(app, argc, argv);
  Run(options);
  return 0;
}

}  // namespace
}  // namespace induct::engine

int main(int argc, char** argv) { return induct::engine::Main(argc, argv); }
