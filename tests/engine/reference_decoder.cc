#include "tests/engine/reference_decoder.h"

#include <cmath>
#include <map>
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
    const Row& table = Weight(spec_.token_embedding);
    Rows rows;
    for (const int32_t token : tokens) {
      rows.emplace_back(table.begin() + token * spec_.d_model, table.begin() + (token + 1) * spec_.d_model);
    }
    if (!spec_.position_embedding) return rows;
    const Row& positions = Weight(*spec_.position_embedding);
    for (size_t t = 0; t < rows.size(); ++t) {
      for (size_t i = 0; i < rows[t].size(); ++i) rows[t][i] += positions[t * rows[t].size() + i];
    }
    return rows;
  }

  // Returns the layer's output; sets `pattern` to [H * T * T] and `mixed` to the heads' outputs.
  Rows RunLayer(size_t number, const Rows& input, Row& pattern, Rows& mixed) const {
    const LayerTensors& layer = spec_.layers[number];
    mixed = Attend(Heads(layer, Norm(input, layer.attention_norm)), pattern);
    Ablate(number, mixed);
    const Rows after_attention = Sum(input, Linear(mixed, layer.attention_output));
    const Rows normed = Norm(spec_.parallel_residual ? input : after_attention, layer.mlp_norm);
    return Sum(after_attention, Linear(Hidden(layer, normed), layer.mlp_output));
  }

  Rows Logits(const Rows& output) const {
    const Row& table = Weight(spec_.unembedding);
    Rows logits;
    for (const Row& row : Norm(output, spec_.final_norm)) {
      Row& of_row = logits.emplace_back(static_cast<size_t>(spec_.vocab_size), 0.0);
      for (size_t id = 0; id < of_row.size(); ++id) {
        for (size_t j = 0; j < row.size(); ++j) of_row[id] += table[id * row.size() + j] * row[j];
      }
    }
    return logits;
  }

 private:
  // Queries [H], keys [G] and values [G] of one token, ready to attend.
  struct TokenHeads {
    Rows queries, keys, values;
  };

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

  const Row& Weight(const TensorSpec& tensor) const {
    Row& row = widened_[tensor.name];
    if (row.empty()) {
      const std::vector<float> values = weights_.at(tensor.name).As<float>();
      row.assign(values.begin(), values.end());
    }
    return row;
  }

  Rows Norm(const Rows& input, const NormTensors& norm) const {
    const Row& w = Weight(norm.weight);
    const Row b = norm.bias ? Weight(*norm.bias) : Row(w.size(), 0.0);
    Rows output = input;
    for (Row& row : output) {
      double mean = 0, variance = 0;
      if (spec_.norm == NormKind::kLayerNorm) {
        for (const double value : row) mean += value / static_cast<double>(row.size());
      }
      for (const double value : row)
        variance += (value - mean) * (value - mean) / static_cast<double>(row.size());
      for (size_t i = 0; i < row.size(); ++i) {
        row[i] = (row[i] - mean) / std::sqrt(variance + spec_.norm_epsilon) * w[i] + b[i];
      }
    }
    return output;
  }

  Rows Linear(const Rows& input, const LinearTensors& linear) const {
    const bool transposed = spec_.linear_weights_transposed;
    const auto n_out = static_cast<size_t>(linear.weight.shape[transposed ? 1 : 0]);
    const Row& w = Weight(linear.weight);
    Rows output;
    for (const Row& row : input) {
      Row& out = output.emplace_back(linear.bias ? Weight(*linear.bias) : Row(n_out, 0.0));
      for (size_t i = 0; i < n_out; ++i) {
        for (size_t j = 0; j < row.size(); ++j) {
          out[i] += w[transposed ? j * n_out + i : i * row.size() + j] * row[j];
        }
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

  Rows Hidden(const LayerTensors& layer, const Rows& normed) const {
    Rows hidden = Linear(normed, layer.mlp_input);
    const Rows activated = layer.mlp_gate ? Linear(normed, *layer.mlp_gate) : hidden;
    for (size_t t = 0; t < hidden.size(); ++t) {
      for (size_t i = 0; i < hidden[t].size(); ++i) {
        hidden[t][i] = Activated(activated[t][i]) * (layer.mlp_gate ? hidden[t][i] : 1.0);
      }
    }
    return hidden;
  }

  double Activated(double x) const {
    switch (spec_.activation) {
      case Activation::kGeluExact:
        return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
      case Activation::kGeluTanh:
        return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
      case Activation::kSilu:
        return x / (1 + std::exp(-x));
    }
    return 0;
  }

  std::vector<TokenHeads> Heads(const LayerTensors& layer, const Rows& normed) const {
    std::vector<Rows> projected;  // one a tensor
    for (const LinearTensors& linear : layer.qkv) projected.push_back(Linear(normed, linear));
    std::vector<TokenHeads> heads(normed.size());
    for (size_t t = 0; t < normed.size(); ++t) {
      for (int64_t h = 0; h < spec_.n_heads; ++h) heads[t].queries.push_back(HeadRow(projected, t, 0, h));
      for (int64_t g = 0; g < spec_.n_kv_heads; ++g) {
        heads[t].keys.push_back(HeadRow(projected, t, 1, g));
        heads[t].values.push_back(HeadRow(projected, t, 2, g));
      }
      if (layer.query_norm) heads[t].queries = Norm(heads[t].queries, *layer.query_norm);
      if (layer.key_norm) heads[t].keys = Norm(heads[t].keys, *layer.key_norm);
      for (Row& query : heads[t].queries) query = Rotated(query, t);
      for (Row& key : heads[t].keys) key = Rotated(key, t);
    }
    return heads;
  }

  // One head's query, key or value (part 0, 1, 2) at position t, as projected.
  Row HeadRow(const std::vector<Rows>& projected, size_t t, int64_t part, int64_t head) const {
    const bool separate = spec_.qkv_layout == QkvLayout::kSeparate;
    const Row& row = projected[separate ? static_cast<size_t>(part) : 0][t];
    int64_t place = head;
    if (spec_.qkv_layout == QkvLayout::kFusedByPart) place = part * spec_.n_heads + head;
    if (spec_.qkv_layout == QkvLayout::kFusedByHead) place = head * 3 + part;
    const auto first = row.begin() + place * spec_.d_head;
    return Row(first, first + spec_.d_head);
  }

  Row Rotated(const Row& plain, size_t t) const {
    Row turned = plain;
    const int64_t half = spec_.rotary_dims / 2;
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(t) * Frequency(i);
      turned[i] = plain[i] * std::cos(angle) - plain[half + i] * std::sin(angle);
      turned[half + i] = plain[half + i] * std::cos(angle) + plain[i] * std::sin(angle);
    }
    return turned;
  }

  double Frequency(int64_t pair) const {
    const double frequency = std::pow(
        spec_.rotary_base, -2.0 * static_cast<double>(pair) / static_cast<double>(spec_.rotary_dims));
    if (!spec_.rotary_scaling) return frequency;
    const auto& [factor, low, high, positions] = *spec_.rotary_scaling;
    const double wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength > positions / low) return frequency / factor;
    if (wavelength < positions / high) return frequency;
    const double kept = (positions / wavelength - low) / (high - low);
    return (1 - kept) * frequency / factor + kept * frequency;
  }

  Rows Attend(const std::vector<TokenHeads>& heads, Row& pattern) const {
    const size_t n_tokens = heads.size();
    pattern.assign(static_cast<size_t>(spec_.n_heads) * n_tokens * n_tokens, 0.0);
    Rows output(n_tokens, Row(static_cast<size_t>(spec_.n_heads * spec_.d_head), 0.0));
    for (int64_t head = 0; head < spec_.n_heads; ++head) {
      const int64_t kv_head = head / (spec_.n_heads / spec_.n_kv_heads);
      for (size_t t = 0; t < n_tokens; ++t) {
        double* const row = &pattern[(static_cast<size_t>(head) * n_tokens + t) * n_tokens];
        AttentionRow(heads, head, kv_head, t, row);
        for (size_t s = 0; s <= t; ++s) {
          for (int64_t i = 0; i < spec_.d_head; ++i) {
            output[t][head * spec_.d_head + i] += row[s] * heads[s].values[kv_head][i];
          }
        }
      }
    }
    return output;
  }

  void AttentionRow(const std::vector<TokenHeads>& heads, int64_t head, int64_t kv_head, size_t t,
                    double* row) const {
    const Row& query = heads[t].queries[head];
    double total = 0;
    for (size_t s = 0; s <= t; ++s) {
      double score = 0;
      for (size_t i = 0; i < query.size(); ++i) score += query[i] * heads[s].keys[kv_head][i];
      row[s] = std::exp(score / std::sqrt(static_cast<double>(spec_.d_head)));
      total += row[s];
    }
    for (size_t s = 0; s <= t; ++s) row[s] /= total;
  }

  const DecoderSpec& spec_;
  const StoredTensors& weights_;
  const ReferenceAblation& ablation_;
  mutable std::map<std::string, Row> widened_;
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

double NegativeLogLikelihood(const std::vector<double>& logits, int32_t token) {
  double total = 0;
  for (const double logit : logits) total += std::exp(logit);
  return std::log(total) - logits[static_cast<size_t>(token)];
}

}  // namespace induct::engine
