// Whether unloading gives memory back: many loads of two models of which only one fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/checkpoint/checkpoint.h"
#include "server/models/model_registry.h"

namespace induct::models {
namespace {

namespace fs = std::filesystem;

constexpr int kCycles = 200;
constexpr int kEarly = 20;  // by then allocators and LibTorch's caches have what they keep

// 6.8 million parameters: 27 MB in float32.
constexpr char kConfig[] = R"({"model_type": "gpt_neox", "hidden_size": 256, "num_attention_heads": 4,
  "num_hidden_layers": 6, "intermediate_size": 1024, "vocab_size": 4096, "max_position_embeddings": 64,
  "rotary_pct": 0.25, "hidden_act": "gelu", "use_parallel_residual": true, "layer_norm_eps": 1e-5,
  "tie_word_embeddings": false})";

// A model's folder with weights of 0, stored in float16 so that loading converts them.
void WriteModel(const std::string& folder) {
  fs::create_directories(folder);
  std::ofstream(folder + "/config.json") << kConfig;
  const DecoderSpec spec = checkpoint::ParseConfig(kConfig).value();
  std::vector<std::string> entries;
  int64_t end = 0;
  for (const TensorSpec* tensor : TensorsOf(spec)) {
    const int64_t begin = end;
    end += 2 * CountOf(*tensor);
    entries.push_back(absl::StrCat("\"", tensor->name, "\":{\"dtype\":\"F16\",\"shape\":[",
                                   absl::StrJoin(tensor->shape, ","), "],\"data_offsets\":[", begin, ",", end,
                                   "]}"));
  }
  const std::string header = absl::StrCat("{", absl::StrJoin(entries, ","), "}");
  const uint64_t header_bytes = header.size();
  std::ofstream file(folder + "/model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes));
  file << header << std::string(static_cast<size_t>(end), '\0');
}

// Memory of this process that no file backs.
double AnonymousBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    double kilobytes = 0;
    if (words >> key >> kilobytes && key == "RssAnon:") return 1024 * kilobytes;
  }
  ADD_FAILURE() << "no RssAnon in /proc/self/status";
  return 0;
}

class MemoryTest : public ::testing::Test {
 protected:
  MemoryTest() {
    engine::SetThreads(1);  // threads that wait for one another take minutes on a busy machine
    std::string pattern = testing::TempDir() + "/memory.XXXXXX";
    dir_ = mkdtemp(pattern.data());
    for (const char* name : {"one", "two"}) WriteModel(absl::StrCat(dir_, "/", name));
  }
  ~MemoryTest() override { fs::remove_all(dir_); }

  // Loads, runs and lets go of the models in turn; after each cycle one of them is resident. Returns by how
  // much of the early memory the last cycle has more.
  double Growth(const std::function<void()>& in_every_cycle) {
    const int64_t whole = WeightBytesOf(checkpoint::ParseConfig(kConfig).value(), DType::kFloat32).whole;
    ModelRegistry registry({.model_dirs = {dir_}, .budgets = {{"cpu", whole + whole / 2}}});
    double early = 0;
    for (int cycle = 1; cycle <= kCycles; ++cycle) {
      for (const std::string name : {"one", "two"}) {
        const auto model = registry.Load(registry.Open(name).value(), {}, WhenFull::kWait, {}, {}).value();
        EXPECT_FALSE(model.streamed());
        RunOnePrompt(*model);
      }
      EXPECT_EQ(registry.Describe("one")->state, ModelState::kUnloaded);
      in_every_cycle();
      if (cycle == kEarly) early = AnonymousBytes();
    }
    return AnonymousBytes() / early - 1;
  }

  static void RunOnePrompt(engine::Model& model) {
    const std::array<int32_t, 4> tokens = {1, 2, 1, 2};
    const std::array<engine::ReadoutTarget, 1> targets = {{{.query = 2, .key = 1}}};
    engine::Pass pass{.prompts = {{.tokens = tokens, .targets = targets}},
                      .on_layer = [](const engine::LayerReadout&) { return absl::OkStatus(); }};
    EXPECT_TRUE(model.Run(pass, {}).ok());
  }

  std::string dir_;
};

TEST_F(MemoryTest, WhatIsUnloadedGoesBackToTheSystem) {
  EXPECT_LT(Growth([] {}), 0.05);
}

TEST_F(MemoryTest, ALeakOfAHundredthOfAModelWouldBeSeen) {
  std::vector<std::string> leaked;
  EXPECT_GT(Growth([&] { leaked.emplace_back(270'000, 'x'); }), 0.05);
}

}  // namespace
}  // namespace induct::models
