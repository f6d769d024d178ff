#include "tests/engine/reference_decoder.h"

#include <cmath>
#include <numbers>

namespace induct::engine {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;  // one a token

class Reference {
 public:
  Reference(const DecoderSpec& spec, const StoredTensors& weights, const ReferenceAblation& ablation)
      : spec_(spec), weights_(weights), ablation_(ablation) {}

  Rows Embed(std::span<const int32_t> tokens) const {
    const Row table = Weight(spec_.token_embedding);
    Rows rows;
    for (const int32_t token : tokens) {
      rows.emplace_back(table.begin() + token * spec_.d_model, table.begin() + (token + 1) * spec_.d_model);
    }
    return rows;
  }

  // Returns the layer's output; sets `pattern` to [H * T * T] and `mixed` to the heads' outputs.
  Rows RunLayer(size_t number, const Rows& input, Row& pattern, Rows& mixed) const {
    const LayerTensors& layer = spec_.layers[number];
    const Rows normed = Norm(input, layer.attention_norm_weight, layer.attention_norm_bias);
    mixed = Attend(Linear(normed, layer.qkv_weight, layer.qkv_bias), pattern);
    Ablate(number, mixed);
    const Rows attended = Linear(mixed, layer.attention_output_weight, layer.attention_output_bias);
    const Rows after_attention = Sum(input, attended);
    const Rows mlp_normed =
        Norm(spec_.parallel_residual ? input : after_attention, layer.mlp_norm_weight, layer.mlp_norm_bias);
    Rows hidden = Linear(mlp_normed, layer.mlp_input_weight, layer.mlp_input_bias);
    for (Row& row : hidden) {
      for (double& value : row) value = Gelu(value);
    }
    return Sum(after_attention, Linear(hidden, layer.mlp_output_weight, layer.mlp_output_bias));
  }

  Rows Logits(const Rows& output) const {
    const Rows normed = Norm(output, spec_.final_norm_weight, spec_.final_norm_bias);
    return Product(normed, Weight(spec_.unembedding), Row(static_cast<size_t>(spec_.vocab_size), 0.0));
  }

 private:
  void Ablate(size_t layer, Rows& mixed) const {
    for (const Head& head : ablation_.heads) {
      if (head.layer != layer) continue;
      const bool zero = ablation_.vectors.empty();
      for (size_t t = zero ? 0 : ablation_.first_position; t < mixed.size(); ++t) {
        for (int64_t k = 0; k < spec_.d_head; ++k) {
          const size_t vector = layer * static_cast<size_t>(spec_.n_heads) + head.head;
          mixed[t][head.head * spec_.d_head + k] = zero ? 0 : ablation_.vectors[vector * spec_.d_head + k];
        }
      }
    }
  }

  Row Weight(const TensorSpec& tensor) const {
    const std::vector<float> values = weights_.at(tensor.name).As<float>();
    return Row(values.begin(), values.end());
  }

  Rows Norm(const Rows& input, const TensorSpec& weight, const TensorSpec& bias) const {
    const Row w = Weight(weight), b = Weight(bias);
    Rows output = input;
    for (Row& row : output) {
      double mean = 0, variance = 0;
      for (const double value : row) mean += value / static_cast<double>(row.size());
      for (const double value : row)
        variance += (value - mean) * (value - mean) / static_cast<double>(row.size());
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] = (row[i] - mean) / std::sqrt(variance + spec_.norm_epsilon) * w[i] + b[i];
      }
    }
    return output;
  }

  Rows Linear(const Rows& input, const TensorSpec& weight, const TensorSpec& bias) const {
    return Product(input, Weight(weight), Weight(bias));
  }

  static Rows Product(const Rows& input, const Row& w, const Row& b) {
    Rows output;
    for (const Row& row : input) {
      Row& out = output.emplace_back(b);
      for (size_t i = 0; i < b.size(); ++i) {
        for (size_t j = 0; j < row.size(); ++j) out[i] += w[i * row.size() + j] * row[j];
      }
    }
    return output;
  }

  static Rows Sum(const Rows& a, const Rows& b) {
    Rows sum = a;
    for (size_t t = 0; t < sum.size(); ++t) {
      for (size_t i = 0; i < sum[t].size(); ++i) sum[t][i] += b[t][i];
    }
    return sum;
  }

  double Gelu(double x) const {
    if (spec_.activation == Activation::kGeluExact) return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  }

  // One head's query, key or value (part 0, 1, 2) at position t; queries and keys rotated.
  Row HeadRow(const Rows& qkv, size_t t, int64_t head, int64_t part) const {
    const auto first = qkv[t].begin() + (head * 3 + part) * spec_.d_head;
    const Row plain(first, first + spec_.d_head);
    Row turned = plain;
    if (part == 2) return turned;
    const int64_t half = spec_.rotary_dims / 2;
    for (int64_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(t) *
          std::pow(spec_.rotary_base, -2.0 * static_cast<double>(i) / static_cast<double>(spec_.rotary_dims));
      turned[i] = plain[i] * std::cos(angle) - plain[half + i] * std::sin(angle);
      turned[half + i] = plain[half + i] * std::cos(angle) + plain[i] * std::sin(angle);
    }
    return turned;
  }

  Rows Attend(const Rows& qkv, Row& pattern) const {
    const size_t n_tokens = qkv.size();
    pattern.assign(static_cast<size_t>(spec_.n_heads) * n_tokens * n_tokens, 0.0);
    Rows output(n_tokens, Row(static_cast<size_t>(spec_.d_model), 0.0));
    for (int64_t head = 0; head < spec_.n_heads; ++head) {
      for (size_t t = 0; t < n_tokens; ++t) {
        double* const row = &pattern[(static_cast<size_t>(head) * n_tokens + t) * n_tokens];
        AttentionRow(qkv, head, t, row);
        for (size_t s = 0; s <= t; ++s) {
          const Row value = HeadRow(qkv, s, head, 2);
          for (int64_t i = 0; i < spec_.d_head; ++i) output[t][head * spec_.d_head + i] += row[s] * value[i];
        }
      }
    }
    return output;
  }

  void AttentionRow(const Rows& qkv, int64_t head, size_t t, double* row) const {
    const Row query = HeadRow(qkv, t, head, 0);
    double total = 0;
    for (size_t s = 0; s <= t; ++s) {
      const Row key = HeadRow(qkv, s, head, 1);
      double score = 0;
      for (size_t i = 0; i < query.size(); ++i) score += query[i] * key[i];
      row[s] = std::exp(score / std::sqrt(static_cast<double>(spec_.d_head)));
      total += row[s];
    }
    for (size_t s = 0; s <= t; ++s) row[s] /= total;
  }

  const DecoderSpec& spec_;
  const StoredTensors& weights_;
  const ReferenceAblation& ablation_;
};

Row Flatten(const Rows& rows) {
  Row flat;
  for (const Row& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return flat;
}

}  // namespace

ReferenceRun RunReference(const DecoderSpec& spec, const StoredTensors& weights,
                          std::span<const int32_t> tokens, const ReferenceAblation& ablation) {
  const Reference reference(spec, weights, ablation);
  ReferenceRun run;
  Rows rows = reference.Embed(tokens);
  run.residual.push_back(Flatten(rows));
  for (size_t layer = 0; layer < spec.layers.size(); ++layer) {
    Rows mixed;
    rows = reference.RunLayer(layer, rows, run.attention.emplace_back(), mixed);
    run.head_outputs.push_back(Flatten(mixed));
    run.residual.push_back(Flatten(rows));
  }
  run.logits = reference.Logits(rows);
  return run;
}

}  // namespace induct::engine
