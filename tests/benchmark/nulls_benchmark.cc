// What the nulls and lag buckets of a profile cost beside the profile alone, statistics included, at the
// shape of pythia-160m with random weights. The three run in turn, so that a busy moment slows all. Run it on
// a quiet machine:
//
//   build/bin/nulls_benchmark [prompts = 32] [tokens a prompt = 256] [float32 | bfloat16] [repeats = 5]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "common/threads.h"
#include "server/analysis/lag_buckets.h"
#include "server/analysis/nulls.h"
#include "server/analysis/profile.h"
#include "tests/benchmark/benchmark_model.h"

namespace induct::analysis {
namespace {

// Random blocks of half, three eighths and a quarter of the length, each twice: many operations of several
// lags.
std::vector<Prompt> RepeatedBlocks(int n_prompts, int length, int64_t vocab_size) {
  std::mt19937 random(2);
  std::vector<Prompt> prompts;
  for (int i = 0; i < n_prompts; ++i) {
    const auto lag = static_cast<uint32_t>(length * (4 - i % 3) / 8);
    Prompt& prompt = prompts.emplace_back(Prompt{.task = "TOKENS", .lag = lag});
    for (uint32_t t = 0; t < static_cast<uint32_t>(length); ++t) {
      const bool repeats = t >= lag && t < 2 * lag;
      prompt.tokens.push_back(repeats ? prompt.tokens[t - lag]
                                      : static_cast<int32_t>(random() % static_cast<uint64_t>(vocab_size)));
    }
  }
  return prompts;
}

int Main(int argc, char** argv) {
  const int n_prompts = argc > 1 ? std::atoi(argv[1]) : 32;
  const int length = argc > 2 ? std::atoi(argv[2]) : 256;
  const DType dtype = argc > 3 ? ParseDType(argv[3]).value_or(DType::kFloat32) : DType::kFloat32;
  const int repeats = argc > 4 ? std::atoi(argv[4]) : 5;
  const DecoderSpec spec = engine::PythiaShape("pythia-160m");
  if (n_prompts < 2 || length < 32 || length > spec.max_positions || repeats < 1) {
    std::fprintf(stderr, "prompts must be at least 2, repeats 1, tokens 32 to %ld\n",
                 static_cast<long>(spec.max_positions));
    return 2;
  }
  engine::SetThreads(AvailableCores());
  const auto loaded =
      engine::LoadModel(spec, engine::RandomWeights(spec, DType::kFloat32), {.dtype = dtype}, {});
  engine::Check(loaded.status());
  engine::Model& model = **loaded;
  const std::vector<Prompt> prompts = RepeatedBlocks(n_prompts, length, spec.vocab_size);
  const auto lag = static_cast<uint32_t>(length);
  const std::vector<uint32_t> edges = {lag / 4, lag * 3 / 8, lag / 2};

  std::vector<double> profile_seconds, nulls_ratios, buckets_ratios;
  engine::Check(MeasureProfile(model, prompts, {}, {}, {}, {}).status());  // warms up
  for (int i = 0; i < repeats; ++i) {
    const double profile =
        engine::Seconds([&] { engine::Check(MeasureProfile(model, prompts, {}, {}, {}, {}).status()); });
    const double nulls =
        engine::Seconds([&] { engine::Check(MeasureNulls(model, prompts, {}, {}, {}, {}, {}).status()); });
    const double buckets = engine::Seconds(
        [&] { engine::Check(MeasureLagBuckets(model, prompts, {}, edges, {}, {}, {}).status()); });
    profile_seconds.push_back(profile);
    nulls_ratios.push_back(nulls / profile);
    buckets_ratios.push_back(buckets / profile);
  }
  std::printf("pythia-160m's shape, %s, %d threads: %d prompts of %d tokens, median of %d\n",
              std::string(DTypeName(dtype)).c_str(), AvailableCores(), n_prompts, length, repeats);
  std::printf("profile       %8.2f s\n", engine::Median(profile_seconds));
  std::printf(
      "nulls         %8.3f of it: three shuffled antecedents, 999 resamples of prompts, 10000 head "
      "permutations\n",
      engine::Median(nulls_ratios));
  std::printf("lag buckets   %8.3f of it: 4 buckets\n", engine::Median(buckets_ratios));
  return 0;
}

}  // namespace
}  // namespace induct::analysis

int main(int argc, char** argv) { return induct::analysis::Main(argc, argv); }
