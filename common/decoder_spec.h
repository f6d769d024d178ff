// What a decoder-only transformer looks like: sizes, choices, and where each weight stands in the checkpoint.
//
// Plain data, shared by the room that reads it off a checkpoint (server/checkpoint, one file a family) and
// the room that runs it (server/engine), so that adding a family is one file of names and shapes and no
// second forward pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace induct {

enum class NormKind { kLayerNorm, kRmsNorm };

enum class Activation { kGeluExact, kGeluTanh, kSilu };

// How a checkpoint stores the projections to queries, keys and values. H query heads, G key-value heads, K
// d_head.
enum class QkvLayout {
  kSeparate,     // three tensors: [H * K, D], [G * K, D], [G * K, D]
  kFusedByPart,  // one tensor, rows as [3, H, K]: all queries, all keys, all values (GPT-2); G = H
  kFusedByHead,  // one tensor, rows as [H, 3, K]: each head's query, key and value (GPT-NeoX); G = H
};

// The llama3 scaling of rotary frequencies (Dubey et al. 2024): wavelengths beyond original_positions /
// low_frequency_factor turn `factor` times slower, those below original_positions / high_frequency_factor as
// they are, those between by interpolation.
struct Llama3Scaling {
  double factor = 1.0;                 // > 0
  double low_frequency_factor = 1.0;   // > 0
  double high_frequency_factor = 4.0;  // > low_frequency_factor
  double original_positions = 8192;
};

// A tensor as the decoder needs it. `name` is the checkpoint's; `shape` what it must have there.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
};

// The weights of a norm over [n]: `bias` where it has one.
struct NormTensors {
  TensorSpec weight;
  std::optional<TensorSpec> bias;
};

// The weights of a linear layer: weight [out, in], as nn.Linear stores them, or [in, out] where the spec says
// linear_weights_transposed; `bias` [out] where it has one.
struct LinearTensors {
  TensorSpec weight;
  std::optional<TensorSpec> bias;
};

// The weights of one layer.
struct LayerTensors {
  NormTensors attention_norm;                       // [D]
  std::vector<LinearTensors> qkv;                   // as qkv_layout: one, or queries, keys and values
  std::optional<NormTensors> query_norm, key_norm;  // [K], of each head before it is rotated; both or neither
  LinearTensors attention_output;                   // [D, H * K]
  NormTensors mlp_norm;                             // [D]
  std::optional<LinearTensors> mlp_gate;  // [F, D]: the MLP is output(activation(gate(x)) * input(x))
  LinearTensors mlp_input;                // [F, D]
  LinearTensors mlp_output;               // [D, F]
};

// L n_layers, H n_heads, G n_kv_heads, D d_model, K d_head (H * K need not be D), F d_mlp, V vocab_size.
struct DecoderSpec {
  std::string architecture;  // the checkpoint's model_type, for example "gpt_neox"
  int64_t n_layers = 0;
  int64_t n_heads = 0;
  int64_t n_kv_heads = 0;  // divides n_heads: query head h attends with key-value head h / (H / G)
  int64_t d_model = 0;
  int64_t d_head = 0;
  int64_t d_mlp = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;  // the context: no prompt may be longer
  // Keys that a query may attend to, itself included; 0: all. Prompts longer than it are refused: induct
  // does not implement the window.
  int64_t sliding_window = 0;

  int64_t rotary_dims = 0;  // the first rotary_dims of each head are rotated, in halves; even, 0 .. d_head
  double rotary_base = 10000.0;
  std::optional<Llama3Scaling> rotary_scaling;

  NormKind norm = NormKind::kLayerNorm;
  double norm_epsilon = 1e-5;
  // Attention and MLP both read the layer's input; else the MLP reads attention's output.
  bool parallel_residual = true;
  Activation activation = Activation::kGeluExact;

  bool linear_weights_transposed = false;  // in every layer, as GPT-2's Conv1D; never the unembedding
  QkvLayout qkv_layout = QkvLayout::kFusedByHead;

  TensorSpec token_embedding;                    // [V, D]
  std::optional<TensorSpec> position_embedding;  // [max_positions, D], added to the token's
  std::vector<LayerTensors> layers;              // [L]
  NormTensors final_norm;                        // [D]
  TensorSpec unembedding;                        // [V, D]; the token embedding's name where the two are tied

  // Token ids with a role; -1 where the checkpoint names none.
  int64_t bos_token_id = -1;

  // The longest prompt that is computed exactly.
  int64_t max_prompt_tokens() const {
    return sliding_window > 0 && sliding_window < max_positions ? sliding_window : max_positions;
  }
};

// Every tensor that `spec` names, each once. Pointers into `spec`.
std::vector<const TensorSpec*> TensorsOf(const DecoderSpec& spec);
// Those of one layer.
std::vector<const TensorSpec*> TensorsOf(const LayerTensors& layer);
// Every place of `spec` that names a tensor, to rename them: of a tied head both.
std::vector<TensorSpec*> TensorsOf(DecoderSpec& spec);

// Numbers in `tensor`.
int64_t CountOf(const TensorSpec& tensor);

}  // namespace induct
