// How fast a profile's pass is, at the shape of pythia-160m with random weights, beside the best plain matrix
// product in the same process. Run it on a quiet machine:
//
//   build/bin/profile_benchmark [prompts = 64] [tokens a prompt = 256] [float32 | bfloat16] [repeats = 5]
#include <ATen/ops/linear.h>
#include <ATen/ops/rand.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "common/threads.h"
#include "server/engine/engine.h"
#include "server/engine/linear.h"
#include "tests/benchmark/benchmark_model.h"

namespace induct::engine {
namespace {

// Three score kinds, as a profile has.
constexpr int64_t kScoreKinds = 3;

// A random block repeated twice: in the second half each token is read by `induction` and `duplicate`, in the
// first by `previous`.
struct RepeatedPrompt {
  RepeatedPrompt(int64_t length, int64_t vocab_size, std::mt19937& random) {
    const int64_t lag = length / 2;
    for (int64_t t = 0; t < length; ++t) {
      tokens.push_back(t < lag ? static_cast<int32_t>(random() % static_cast<uint64_t>(vocab_size))
                               : tokens[t - lag]);
    }
    for (uint32_t t = 1; t < static_cast<uint32_t>(length); ++t) {
      if (t < lag) {
        targets.push_back({.query = t, .key = t - 1, .group = 2});
      } else {
        const auto antecedent = static_cast<uint32_t>(t - lag);
        targets.push_back({.query = t, .key = antecedent + 1, .group = 0});
        targets.push_back({.query = t, .key = antecedent, .group = 1});
      }
    }
  }
  std::vector<int32_t> tokens;
  std::vector<ReadoutTarget> targets;
};

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

// The rate of one product [4096, 1024] by [1024, 4096] in GFLOP/s: at::linear's, and that of the engine's own
// linear layer, which is the best that this LibTorch has for plain weights.
struct ProductRates {
  double plain = 0, best = 0;
};

ProductRates MatrixProductRates(c10::ScalarType dtype) {
  const c10::InferenceMode inference;
  static const at::Tensor input = at::rand({4096, 1024}).to(dtype);
  static const Linear linear = {.weight = at::rand({4096, 1024}).to(dtype),
                                .bias = at::rand({4096}).to(dtype)};
  constexpr int kTimes = 4;
  const auto rate = [&](const auto& multiply) {
    const double seconds = Seconds([&] {
      for (int i = 0; i < kTimes; ++i) multiply();
    });
    return kTimes * 2.0 * 4096 * 1024 * 4096 / seconds / 1e9;
  };
  return {.plain = rate([] { at::linear(input, linear.weight, linear.bias); }),
          .best = rate([] { ApplyLinear(linear, input); })};
}

int Main(int argc, char** argv) {
  const int n_prompts = argc > 1 ? std::atoi(argv[1]) : 64;
  const int length = argc > 2 ? std::atoi(argv[2]) : 256;
  const DType dtype = argc > 3 ? ParseDType(argv[3]).value_or(DType::kFloat32) : DType::kFloat32;
  const int repeats = argc > 4 ? std::atoi(argv[4]) : 5;
  const DecoderSpec spec = Pythia160m();
  if (n_prompts < 1 || length < 2 || length > spec.max_positions || repeats < 1) {
    std::fprintf(stderr, "prompts and repeats must be at least 1, tokens 2 to %ld\n",
                 static_cast<long>(spec.max_positions));
    return 2;
  }
  SetThreads(AvailableCores());
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(spec, RandomWeights(spec), {.dtype = dtype}, {});
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", std::string(model.status().message()).c_str());
    return 1;
  }

  std::mt19937 random(2);
  std::vector<RepeatedPrompt> prompts;
  for (int i = 0; i < n_prompts; ++i) prompts.emplace_back(length, spec.vocab_size, random);
  double peak_mib = 0;
  Pass pass = {.n_groups = kScoreKinds};
  for (const RepeatedPrompt& prompt : prompts) pass.prompts.push_back({prompt.tokens, prompt.targets});
  pass.on_layer = [](const LayerReadout&) { return absl::OkStatus(); };
  pass.on_progress = [&](double) { peak_mib = std::max(peak_mib, AnonymousMiB()); };
  const double before_mib = AnonymousMiB();

  std::vector<double> pass_seconds, plain_rates, best_rates;
  for (int i = 0; i < repeats + 1;
       ++i) {  // interleaved, so that a busy moment slows both; the first round warms up
    absl::Status status;
    const double seconds = Seconds([&] { status = (*model)->Run(pass, {}); });
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
      return 1;
    }
    const ProductRates rates = MatrixProductRates(dtype == DType::kFloat32 ? at::kFloat : at::kBFloat16);
    if (i == 0) continue;
    pass_seconds.push_back(seconds);
    plain_rates.push_back(rates.plain);
    best_rates.push_back(rates.best);
  }

  const double seconds = Median(pass_seconds);
  const double rate = PassFlop(spec, n_prompts, length) / seconds / 1e9;
  const double weights_mib = static_cast<double>((*model)->resident_bytes()) / (1 << 20);
  const double residual_mib =
      static_cast<double>(n_prompts) * length * static_cast<double>(spec.d_model) * sizeof(float) / (1 << 20);
  std::printf("pythia-160m's shape, %s, %d threads: %d prompts of %d tokens, median of %d\n",
              std::string(DTypeName(dtype)).c_str(), AvailableCores(), n_prompts, length, repeats);
  std::printf("pass            %8.2f s   %8.0f tokens/s   %6.0f GFLOP/s\n", seconds,
              n_prompts * length / seconds, rate);
  for (const auto& [name, rates] :
       {std::pair{"at::linear", plain_rates}, std::pair{"best linear", best_rates}}) {
    std::printf("%-12s    %6.0f GFLOP/s (4096 x 1024 x 4096); the pass runs at %.2f of it\n", name,
                Median(rates), rate / Median(rates));
  }
  std::printf(
      "anonymous memory: %.0f MiB loaded, %.0f MiB at most; weights %.0f MiB, residual streams %.0f MiB\n",
      before_mib, peak_mib, weights_mib, residual_mib);
  return 0;
}

}  // namespace
}  // namespace induct::engine

int main(int argc, char** argv) { return induct::engine::Main(argc, argv); }
