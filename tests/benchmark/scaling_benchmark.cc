// How a profile's pass grows with prompts, tokens of a prompt, layers and heads, each over a factor of 8 with
// the others held: CSV on standard output, which tests/benchmark/scaling.sh draws. Run it on a quiet machine:
//
//   build/release/bin/scaling_benchmark [repeats = 5]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "common/threads.h"
#include "tests/benchmark/benchmark_model.h"

namespace induct::engine {
namespace {

// Numbers of prompts, tokens and heads that are small multiples of these.
struct Case {
  int64_t prompts = 32, tokens = 64, layers = 4, heads = 4;
};

// A case that can be run again and again.
class Measurement {
 public:
  Measurement(const std::string& grown, int64_t value, const Case& sizes) : grown_(grown), value_(value) {
    const DecoderSpec spec = PythiaSpec(
        {.n_layers = sizes.layers, .n_heads = sizes.heads, .d_model = 512, .d_head = 64, .d_mlp = 2048});
    absl::StatusOr<std::unique_ptr<Model>> model =
        LoadModel(spec, RandomWeights(spec, DType::kFloat32), {}, {});
    Check(model.status());
    model_ = *std::move(model);
    std::mt19937 random(2);
    for (int64_t i = 0; i < sizes.prompts; ++i) prompts_.emplace_back(sizes.tokens, spec.vocab_size, random);
  }

  void Run() {
    const Pass pass = PassOver(prompts_);
    seconds_.push_back(Seconds([&] { Check(model_->Run(pass, {})); }));
  }

  void Print() const {
    // The first one warms up.
    const std::vector<double> measured(seconds_.begin() + 1, seconds_.end());
    std::printf("%s,%ld,%.6f\n", grown_.c_str(), static_cast<long>(value_), Median(measured));
  }

 private:
  std::string grown_;
  int64_t value_;
  std::unique_ptr<Model> model_;
  std::vector<RepeatedPrompt> prompts_;
  std::vector<double> seconds_;
};

int Main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 5;
  if (repeats < 1) {
    std::fprintf(stderr, "repeats must be at least 1\n");
    return 2;
  }
  SetThreads(AvailableCores());
  const std::pair<const char*, int64_t Case::*> dimensions[] = {{"prompts", &Case::prompts},
                                                                {"tokens", &Case::tokens},
                                                                {"layers", &Case::layers},
                                                                {"heads", &Case::heads}};
  std::vector<Measurement> measurements;
  for (const auto& [name, dimension] : dimensions) {
    for (const int64_t factor : {1, 2, 3, 4, 6, 8}) {
      Case sizes;
      sizes.*dimension *= factor;
      measurements.emplace_back(name, sizes.*dimension, sizes);
    }
  }
  // In turn, so that a busy moment slows one of many values alone.
  for (int i = 0; i < repeats + 1; ++i) {
    for (Measurement& measurement : measurements) measurement.Run();
  }
  std::printf("grown,value,seconds\n");
  for (const Measurement& measurement : measurements) measurement.Print();
  return 0;
}

}  // namespace
}  // namespace induct::engine

int main(int argc, char** argv) { return induct::engine::Main(argc, argv); }
