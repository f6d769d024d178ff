// Models for tests: the golden ones, and random ones of any shape.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/engine/engine.h"
#include "tests/engine/safetensors_file.h"

namespace induct::engine {

// What a spec says by the tensors that it names. The defaults are those of GPT-NeoX.
struct TensorOptions {
  bool norm_biases = true;
  bool qkv_biases = true;
  bool other_biases = true;  // of the other linear layers
  bool query_key_norms = false;
  bool gated_mlp = false;
  bool position_embedding = false;
  bool tied_head = false;
};

// Fills in names and shapes of tensors, as `sizes` and options want them; n_kv_heads 0: as many as n_heads.
DecoderSpec WithTensorNames(DecoderSpec sizes, const TensorOptions& options = {});

// Tensors in memory. Counts what is read. `before_read`, where set, is called with the tensor's name before
// each part of it is read.
class MemoryTensorSource : public TensorSource {
 public:
  explicit MemoryTensorSource(StoredTensors tensors) : tensors_(std::move(tensors)) {}

  absl::StatusOr<Info> Describe(const std::string& name) const override;
  absl::Status Read(const std::string& name, uint64_t offset, std::span<std::byte> out) const override;

  StoredTensors& tensors() { return tensors_; }
  // How often each tensor was read as a whole; fails the test where one was read in part.
  std::map<std::string, int> reads() const;
  void ForgetReads();
  std::function<absl::Status(const std::string&)> before_read;

 private:
  StoredTensors tensors_;
  mutable absl::Mutex mutex_;
  mutable std::map<std::string, size_t> bytes_read_ ABSL_GUARDED_BY(mutex_);
};

// Where tests run models: INDUCT_TEST_DEVICE, or "cpu".
std::string TestDevice();

struct TestModel {
  DecoderSpec spec;
  std::shared_ptr<MemoryTensorSource> source;

  // On TestDevice, whatever the options say. Fails the test where the model does not load.
  std::unique_ptr<Model> Load(const LoadOptions& options = {}) const;
};

// The config.json, read as the server reads it, and the model.safetensors of a folder. Fails the test where
// they are broken.
TestModel ModelInFolder(const std::string& folder);
// Weights large enough, norms and biases too, that each of them changes the outputs. `gain`: how much a
// linear layer makes of an input of size 1.
TestModel RandomWeightsFor(const DecoderSpec& spec, float gain, uint32_t seed);
// With GPT-NeoX's tensors and a gain of 1.5.
TestModel RandomModel(const DecoderSpec& sizes, uint32_t seed);

// A decoder with sizes and options drawn at random, any combination of them; for prompts of up to 40 tokens.
DecoderSpec RandomDecoder(uint32_t seed);

// 2 heads of 8, 3 layers, vocabulary 50, context 64.
DecoderSpec SmallSizes();

// Prompts and targets with the storage that PassPrompt only views.
struct TestPrompts {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::vector<ReadoutTarget>> targets;

  std::vector<PassPrompt> View() const;
};

// Random tokens and, for each prompt, n_targets random targets with random weights.
TestPrompts RandomPrompts(const DecoderSpec& spec, const std::vector<int>& lengths, int n_targets,
                          int n_groups, uint32_t seed);

}  // namespace induct::engine
