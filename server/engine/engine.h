// server/engine runs a decoder-only transformer layer by layer and reads single attention probabilities out
// of it. Must not know: gRPC, protobuf, jobs, files, tokenizers, what a score means.
//
// Plain C++ types only: LibTorch stays behind this header (its own protobuf and fmt headers break files that
// see both).
//
// Letters for shapes, here and in the whole room:
//   N prompts, T tokens of one prompt, L layers, H query heads, G key-value heads, D d_model, K d_head, F
//   d_mlp, V vocabulary, C groups of a prompt's readout, S tokens of a micro-batch (packed, no padding).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/decoder_spec.h"
#include "common/dtype.h"
#include "server/engine/linear_choice.h"

namespace induct::engine {

// One attention probability to read: weight * P[head, query, key] is added to `group` for every head.
// REQUIRES: key <= query < T; group < the pass's n_groups.
struct ReadoutTarget {
  uint32_t query = 0;
  uint32_t key = 0;
  uint32_t group = 0;
  float weight = 1.0f;
};

// One prompt of a pass. Both spans must stay alive while the pass runs.
struct PassPrompt {
  std::span<const int32_t> tokens;  // [T], 1 <= T <= max_prompt_tokens(), each 0 <= id < vocab_size
  // In any order; targets of one query and key that follow one another are read once.
  std::span<const ReadoutTarget> targets;
};

// What one layer gave for the prompts [first_prompt, first_prompt + n_prompts), numbered as in the pass.
struct LayerReadout {
  int64_t layer = 0;
  int64_t first_prompt = 0;
  int64_t n_prompts = 0;
  bool last_wave = false;        // no further prompts will come for this layer
  std::span<const double> sums;  // [n_prompts, C, H]; valid during the call only
};

// Called on the thread that runs the pass, layers rising within a wave. An error ends the pass and is
// returned by it.
using LayerSink = std::function<absl::Status(const LayerReadout&)>;

// The residual stream after the embedding (layer 0) and after layer l (l + 1), before the final norm: what
// golden tests compare.
struct ResidualStream {
  int64_t layer = 0;
  int64_t prompt = 0;
  std::span<const float> values;  // [T, D]; valid during the call only
};
using ResidualSink = std::function<absl::Status(const ResidualStream&)>;

// What the heads of one layer put out (z, before the output projection), summed over some prompts' positions:
// what mean ablation needs. A wave gives each layer's sums once; sums of several waves add up.
struct HeadOutputs {
  int64_t layer = 0;
  int64_t n_positions = 0;       // that the sums are over
  std::span<const double> sums;  // [H, K]; valid during the call only
};
using HeadOutputSink = std::function<absl::Status(const HeadOutputs&)>;

// A share of the pass that is done, 0 .. 1, after each micro-batch.
using ProgressSink = std::function<void(double)>;

struct Pass {
  std::vector<PassPrompt> prompts;  // N
  int64_t n_groups = 1;             // C
  // Layers to run, 1 .. L; 0: all of them.
  int64_t n_layers = 0;
  // Prompts in a micro-batch; 0: chosen by tokens. Never changes results beyond rounding. It is halved where
  // memory runs out.
  int64_t batch_size = 0;
  // Bytes that residual streams may take on the device. Prompts beyond it go in a further wave through all
  // layers.
  int64_t activation_budget = int64_t{4} << 30;
  LayerSink on_layer;
  ProgressSink on_progress;  // may be empty
  // When set, the last layer is run to its end as well, and each residual stream is handed out.
  ResidualSink on_residual;  // may be empty
  // When set, the last layer attends as well, and each layer's head outputs at the positions
  // >= first_output_position are handed out.
  HeadOutputSink on_head_outputs;  // may be empty
  int64_t first_output_position = 0;
};

// A query head of a model: layer 0 .. L - 1, head 0 .. H - 1.
struct Head {
  uint32_t layer = 0;
  uint32_t head = 0;
  friend auto operator<=>(const Head&, const Head&) = default;
};

// How well one token was predicted: by the logits at the position before it.
struct Prediction {
  float nll = 0;         // negative log-likelihood in nats
  bool correct = false;  // no other token's logit is higher
};

// The predictions of one prompt by one variant.
struct PromptPredictions {
  int64_t variant = 0;
  int64_t prompt = 0;
  std::span<const Prediction>
      values;  // of the tokens first_position + 1 .. T - 1; valid during the call only
};
using PredictionSink = std::function<absl::Status(const PromptPredictions&)>;

// A pass of several variants of one model over the same prompts, to its logits. A variant is the model with
// the outputs z of some heads replaced before the output projection; it shares the unablated model's residual
// stream until its first ablated layer. A layer's weights are brought to the device once for all variants of
// a group.
struct AblationPass {
  std::vector<std::span<const int32_t>> prompts;  // N, each [T]; must stay alive while the pass runs
  std::vector<std::vector<Head>> variants;        // heads replaced, no head twice; empty: the unablated model
  // What replaces z: one vector a head, [L, H, K], put at every position >= first_position; empty: 0 at every
  // position.
  std::span<const float> replacement;
  // Predictions are made of the tokens after this position: the number of BOS tokens.
  int64_t first_position = 0;
  int64_t batch_size = 0;  // as for Pass
  // Bytes that the residual streams of all variants together may take. Where one prompt's exceed it, the
  // variants go in groups, each through all layers on its own.
  int64_t activation_budget = int64_t{4} << 30;
  // Called on the thread that runs the pass, once for each variant and prompt, in any order. A prompt without
  // a token after first_position gives an empty span.
  PredictionSink on_predictions;
  ProgressSink on_progress;  // may be empty; shares of the work, not of the layers
};

// Where a model's weights come from; implemented over a checkpoint by server/models. Safe for concurrent
// calls.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // How the named tensor is stored. NOT_FOUND where the checkpoint has none of that name.
  struct Info {
    DType dtype = DType::kFloat32;
    std::vector<int64_t> shape;
  };
  virtual absl::StatusOr<Info> Describe(const std::string& name) const = 0;

  // Reads a part of the stored bytes, little-endian, C order: out.size() of them from byte `offset` on.
  // REQUIRES: they lie within the tensor.
  virtual absl::Status Read(const std::string& name, uint64_t offset, std::span<std::byte> out) const = 0;
};

struct LoadOptions {
  std::string device = "cpu";  // "cpu", "cuda" or "cuda:N"
  // Of weights and of what linear layers compute. Residual streams, norms, scores and softmax are float32
  // always.
  DType dtype = DType::kFloat32;
  // Keep only the embeddings, the layer at work and the next one on the device and read each layer, and for
  // logits the final norm and the unembedding, from the source when its turn comes: each tensor once a wave
  // (and group of variants), of a layer that is not run to its end only what its queries, keys and values
  // need.
  bool stream_layers = false;
  // Chooses the products of linear layers on a CPU; nothing: oneDNN's where there is one for the dtype.
  std::shared_ptr<LinearChooser> linear_chooser = {};
  // Called, on the thread of a pass, when a micro-batch did not fit into memory and is tried again with half
  // of its prompts. May be empty.
  std::function<void()> on_halving = {};
};

// A decoder ready to run. Run and RunVariants may be called from one thread at a time per model, one of them
// at a time; the other methods are safe from every thread.
class Model {
 public:
  virtual ~Model() = default;

  virtual const DecoderSpec& spec() const = 0;
  virtual const LoadOptions& options() const = 0;

  // Bytes of weights that stay on the device between passes. Grows once: the first RunVariants loads the
  // final norm and the unembedding, which stay unless layers are streamed.
  virtual int64_t resident_bytes() const = 0;

  // Settles which products the linear layers use, by measuring where they are not known yet. Call it before a
  // pass, on the thread that runs passes, with the number of tokens of that pass: measuring takes at most a
  // fiftieth of its work, or a tenth of a second where that is more; what does not suffice for it is left for
  // a later call, and the default used. May change the order of resident weights. Returns what is used for
  // the shapes of a layer, in the layer's order; empty where nothing was settled, as on a GPU. CANCELLED
  // after a stop request; RESOURCE_EXHAUSTED where memory runs out, and the model can still be used. What is
  // no decoder of this room's has nothing to choose.
  virtual absl::StatusOr<std::vector<LinearUse>> ChooseLinear(int64_t /*n_tokens*/,
                                                              std::stop_token /*stop*/) {
    return std::vector<LinearUse>();
  }

  // One forward pass of all prompts, layer-major: every layer is applied to all prompts of a wave before the
  // next begins. Without on_residual the last layer that is run ends after its queries and keys, or its head
  // outputs where they are asked for. CANCELLED within one micro-batch after `stop` is requested;
  // INVALID_ARGUMENT for a prompt, token or target out of range; RESOURCE_EXHAUSTED where the device's memory
  // does not hold a micro-batch of one prompt (halving is tried first); an error of the TensorSource or of a
  // sink as it is.
  virtual absl::Status Run(const Pass& pass, std::stop_token stop) = 0;

  // One pass of all variants over all prompts. Errors as for Run; INVALID_ARGUMENT also for a head outside
  // the model or twice in a variant, and for a replacement of another size.
  virtual absl::Status RunVariants(const AblationPass& pass, std::stop_token stop) = 0;
};

// Checks every tensor that `spec` names against the source (presence, shape, dtype) and loads what the
// options ask for, block by block: beside the weights in their dtype never more than 4 MiB, or three blocks
// of 16 MiB on the way to a GPU.
// FAILED_PRECONDITION naming the tensor that is missing or of the wrong shape; INVALID_ARGUMENT for an
// unknown device. `source` is kept while the model lives.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const DecoderSpec& spec,
                                                 std::shared_ptr<const TensorSource> source,
                                                 const LoadOptions& options, std::stop_token stop);

// Threads that LibTorch uses inside one operation, for the whole process and whichever thread runs a pass.
// Call once at the start.
void SetThreads(int threads);

// Resolves the setting `device`: "auto" to "cuda" where there is one, else "cpu"; any other name is checked.
// FAILED_PRECONDITION naming `auto` and `cpu` where the device is not there; INVALID_ARGUMENT for a name that
// is none.
absl::StatusOr<std::string> ResolveDevice(const std::string& name);

// Memory of a device: a GPU's own; of a CPU the machine's, or what a control group leaves the process where
// that is less. 0 where it is unknown, as for a device that is not there.
int64_t DeviceMemoryBytes(const std::string& device);

// What of it is in use, by all programs; 0 where it is unknown. Waits for nothing that the device does.
int64_t DeviceMemoryInUse(const std::string& device);

// Gives memory of freed models back: LibTorch keeps what a GPU's tensors leave, the heap what is freed of a
// CPU's.
void ReleaseFreeMemory(const std::string& device);

// What the device calls itself ("cpu", "NVIDIA H100 ..."), and LibTorch's version.
std::string DeviceDescription(const std::string& device);
std::string LibTorchVersion();

}  // namespace induct::engine
