// What a decoder-only transformer looks like: sizes, choices, and where each weight stands in the checkpoint.
//
// Plain data, shared by the room that reads it off a checkpoint (server/checkpoint, one file a family) and
// the room that runs it (server/engine), so that adding a family is one file of names and shapes and no
// second forward pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace induct {

enum class Activation { kGeluExact, kGeluTanh };

// A tensor as the decoder needs it. `name` is the checkpoint's; `shape` what it must have there.
struct TensorSpec {
  std::string name;
  std::vector<int64_t> shape;
};

// The weights of one layer. Linear weights are [out, in], as nn.Linear stores them.
struct LayerTensors {
  TensorSpec attention_norm_weight, attention_norm_bias;      // [D]
  TensorSpec qkv_weight, qkv_bias;                            // [3 * D, D], [3 * D], rows as [H, 3, K]
  TensorSpec attention_output_weight, attention_output_bias;  // [D, D], [D]
  TensorSpec mlp_norm_weight, mlp_norm_bias;                  // [D]
  TensorSpec mlp_input_weight, mlp_input_bias;                // [F, D], [F]
  TensorSpec mlp_output_weight, mlp_output_bias;              // [D, F], [D]
};

// L n_layers, H n_heads, D d_model, K d_head (H * K = D), F d_mlp, V vocab_size.
struct DecoderSpec {
  std::string architecture;  // the checkpoint's model_type, for example "gpt_neox"
  int64_t n_layers = 0;
  int64_t n_heads = 0;
  int64_t d_model = 0;
  int64_t d_head = 0;
  int64_t d_mlp = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;  // the context: no prompt may be longer

  int64_t rotary_dims = 0;  // the first rotary_dims of each head are rotated, in halves; even, 0 .. d_head
  double rotary_base = 10000.0;
  double norm_epsilon = 1e-5;
  bool parallel_residual =
      true;  // attention and MLP both read the layer's input; else the MLP reads attention's output
  Activation activation = Activation::kGeluExact;

  TensorSpec token_embedding;                     // [V, D]
  std::vector<LayerTensors> layers;               // [L]
  TensorSpec final_norm_weight, final_norm_bias;  // [D]
  TensorSpec unembedding;                         // [V, D]; the token embedding's name where the two are tied

  // Token ids with a role; -1 where the checkpoint names none.
  int64_t bos_token_id = -1;
};

}  // namespace induct
