// What a causal ablation's pass costs, at the shape of pythia-160m with random weights, beside the parts that
// it can't do without: for every arm the layers from its first ablated one on, and the unembedding. The parts
// are measured alone, in the same process and in turn with the pass. Run it on a quiet machine:
//
//   build/release/bin/causal_benchmark [prompts = 16] [tokens a prompt = 64] [float32 | bfloat16] [repeats =
//   3]
//                                      [auto | aten | onednn | onednn_packed]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "common/threads.h"
#include "server/engine/engine.h"
#include "server/engine/linear_choice.h"
#include "tests/benchmark/benchmark_model.h"

namespace induct::engine {
namespace {

constexpr int kDraws = 20;
constexpr uint32_t kTopHeads = 3;

using Variant = std::vector<Head>;

Head DrawHead(const DecoderSpec& spec, uint32_t layer, std::mt19937& random) {
  return {.layer = layer, .head = static_cast<uint32_t>(random() % spec.n_heads)};
}

// The arms of a causal ablation: the unablated model, the top heads (one in each of three layers in
// the middle), sets of as many heads anywhere, and sets with as many heads in each layer as the top heads.
std::vector<Variant> Arms(const DecoderSpec& spec) {
  std::mt19937 random(3);
  const auto matched = [&] {
    Variant heads;
    for (uint32_t i = 0; i < kTopHeads; ++i) {
      heads.push_back(DrawHead(spec, static_cast<uint32_t>(spec.n_layers) / 3 + i, random));
    }
    return heads;
  };
  const auto anywhere = [&] {
    std::set<Head> heads;
    while (heads.size() < kTopHeads) {
      heads.insert(DrawHead(spec, static_cast<uint32_t>(random() % spec.n_layers), random));
    }
    return Variant(heads.begin(), heads.end());
  };
  std::vector<Variant> arms = {{}, matched()};
  for (int draw = 0; draw < kDraws; ++draw) arms.push_back(anywhere());
  for (int draw = 0; draw < kDraws; ++draw) arms.push_back(matched());
  return arms;
}

// Layers that an arm can't share with the unablated model.
int64_t OwnLayers(const DecoderSpec& spec, const Variant& arm) {
  if (arm.empty()) return spec.n_layers;
  return spec.n_layers - std::min_element(arm.begin(), arm.end())->layer;
}

int Main(int argc, char** argv) {
  const int n_prompts = argc > 1 ? std::atoi(argv[1]) : 16;
  const int length = argc > 2 ? std::atoi(argv[2]) : 64;
  const DType dtype = argc > 3 ? ParseDType(argv[3]).value_or(DType::kFloat32) : DType::kFloat32;
  const int repeats = argc > 4 ? std::atoi(argv[4]) : 3;
  const std::string linear = argc > 5 ? argv[5] : "auto";
  const DecoderSpec spec = PythiaShape("pythia-160m");
  if (n_prompts < 1 || length < 2 || length > spec.max_positions || repeats < 1) {
    std::fprintf(stderr, "prompts and repeats must be at least 1, tokens 2 to %ld\n",
                 static_cast<long>(spec.max_positions));
    return 2;
  }
  SetThreads(AvailableCores());
  absl::StatusOr<std::unique_ptr<Model>> model = LoadModel(
      spec, RandomWeights(spec, DType::kFloat32),
      {.dtype = dtype, .linear_chooser = MakeLinearChooser(ParseLinearProduct(linear), nullptr)}, {});
  Check(model.status());
  Check((*model)->ChooseLinear(int64_t{n_prompts} * length, {}).status());

  std::mt19937 random(2);
  std::vector<std::vector<int32_t>> prompts(n_prompts);
  Pass layers = {.on_residual = [](const ResidualStream&) { return absl::OkStatus(); }};
  AblationPass all_arms = {.variants = Arms(spec),
                           .on_predictions = [](const PromptPredictions&) { return absl::OkStatus(); }};
  for (std::vector<int32_t>& tokens : prompts) {
    for (int t = 0; t < length; ++t) tokens.push_back(static_cast<int32_t>(random() % spec.vocab_size));
    layers.prompts.push_back({.tokens = tokens, .targets = {}});
    all_arms.prompts.emplace_back(tokens);
  }
  AblationPass unablated = all_arms;
  unablated.variants = {{}};
  int64_t own_layers = 0;
  for (const Variant& arm : all_arms.variants) own_layers += OwnLayers(spec, arm);
  const auto n_arms = static_cast<double>(all_arms.variants.size());

  std::vector<double> layer_times, logits_times, pass_times, ratios;
  Check((*model)->RunVariants(unablated, {}));  // warms up
  for (int i = 0; i < repeats; ++i) {
    const double pass = Seconds([&] { Check((*model)->RunVariants(all_arms, {})); });
    // The parts are short, so several times, which evens out busy moments.
    const int times = 8;
    const double all_layers = Seconds([&] {
                                for (int j = 0; j < times; ++j) Check((*model)->Run(layers, {}));
                              }) /
                              times;
    const double with_logits = Seconds([&] {
                                 for (int j = 0; j < times; ++j) Check((*model)->RunVariants(unablated, {}));
                               }) /
                               times;
    layer_times.push_back(all_layers / static_cast<double>(spec.n_layers));
    logits_times.push_back(with_logits - all_layers);
    pass_times.push_back(pass);
    ratios.push_back(pass /
                     (static_cast<double>(own_layers) * layer_times.back() + n_arms * logits_times.back()));
  }

  const double tokens = static_cast<double>(n_prompts) * length;
  const double logits_flop = 2.0 * tokens * static_cast<double>(spec.d_model * spec.vocab_size);
  std::printf("pythia-160m's shape, %s, %s, %d threads: %d prompts of %d tokens, median of %d\n",
              std::string(DTypeName(dtype)).c_str(), linear.c_str(), AvailableCores(), n_prompts, length,
              repeats);
  std::printf("a layer      %8.4f s\n", Median(layer_times));
  std::printf("logits       %8.4f s   %6.0f GFLOP/s\n", Median(logits_times),
              logits_flop / Median(logits_times) / 1e9);
  std::printf("%.0f arms with %ld layers of their own and logits: %.2f s, %.3f of the sum of the parts\n",
              n_arms, static_cast<long>(own_layers), Median(pass_times), Median(ratios));
  return 0;
}

}  // namespace
}  // namespace induct::engine

int main(int argc, char** argv) { return induct::engine::Main(argc, argv); }
