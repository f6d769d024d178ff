#include "server/engine/validation.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/status.h"

namespace induct::engine {
namespace {

absl::Status BadCheckpoint(absl::string_view message) {
  return WithReason(absl::FailedPreconditionError(message), reason::kBadCheckpoint);
}

std::string ShapeText(std::span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status ValidateTensor(const TensorSpec& tensor, const TensorSource& source) {
  const absl::StatusOr<TensorSource::Info> info = source.Describe(tensor.name);
  if (absl::IsNotFound(info.status())) {
    return BadCheckpoint(absl::StrCat("the checkpoint has no tensor '", tensor.name, "'"));
  }
  INDUCT_RETURN_IF_ERROR(info.status());
  if (info->shape != tensor.shape) {
    return BadCheckpoint(absl::StrCat("tensor '", tensor.name, "' has shape ", ShapeText(info->shape),
                                      ", but the model's configuration needs ", ShapeText(tensor.shape)));
  }
  return absl::OkStatus();
}

absl::Status ValidateAttention(const DecoderSpec& spec) {
  if (spec.n_heads % spec.n_kv_heads != 0) {
    return BadCheckpoint(
        absl::StrCat("n_kv_heads ", spec.n_kv_heads, " does not divide n_heads ", spec.n_heads));
  }
  if (spec.qkv_layout != QkvLayout::kSeparate && spec.n_kv_heads != spec.n_heads) {
    return BadCheckpoint(absl::StrCat("queries, keys and values in one tensor need as many n_kv_heads (",
                                      spec.n_kv_heads, ") as n_heads (", spec.n_heads, ")"));
  }
  if (spec.sliding_window < 0) {
    return BadCheckpoint(absl::StrCat("sliding_window ", spec.sliding_window, " must be at least 0"));
  }
  return absl::OkStatus();
}

absl::Status ValidateRotary(const DecoderSpec& spec) {
  if (spec.rotary_dims < 0 || spec.rotary_dims > spec.d_head || spec.rotary_dims % 2 != 0) {
    return BadCheckpoint(
        absl::StrCat("rotary_dims ", spec.rotary_dims, " must be even and at most d_head ", spec.d_head));
  }
  if (!spec.rotary_scaling) return absl::OkStatus();
  const Llama3Scaling& scaling = *spec.rotary_scaling;
  const bool sound = scaling.factor > 0 && scaling.low_frequency_factor > 0 &&
                     scaling.high_frequency_factor > scaling.low_frequency_factor &&
                     scaling.original_positions > 0;
  return sound ? absl::OkStatus()
               : BadCheckpoint(
                     "the rotary scaling needs positive factors and original positions, and a high "
                     "frequency factor above the low one");
}

absl::Status ValidateLayer(const DecoderSpec& spec, const LayerTensors& layer) {
  const size_t n_projections = spec.qkv_layout == QkvLayout::kSeparate ? 3 : 1;
  if (layer.qkv.size() != n_projections) {
    return BadCheckpoint(absl::StrCat("a layer has ", layer.qkv.size(),
                                      " tensors for queries, keys and values; its layout needs ",
                                      n_projections));
  }
  if (layer.query_norm.has_value() != layer.key_norm.has_value()) {
    return BadCheckpoint("queries and keys must both be normalised or neither");
  }
  return absl::OkStatus();
}

absl::Status PromptTooLong(const DecoderSpec& spec, size_t number, size_t n_tokens) {
  const bool by_window = spec.max_prompt_tokens() < spec.max_positions;
  const std::string limit = by_window
                                ? absl::StrCat("the model attends within a sliding window of ",
                                               spec.sliding_window, ", and longer prompts are not supported")
                                : absl::StrCat("the model's context holds ", spec.max_positions);
  return WithReason(
      absl::InvalidArgumentError(absl::StrCat("prompt ", number, " has ", n_tokens, " tokens; ", limit)),
      reason::kPromptTooLong, "prompts");
}

absl::Status ValidateTokens(const DecoderSpec& spec, size_t number, std::span<const int32_t> tokens) {
  if (tokens.empty()) {
    return InvalidField("prompts", absl::StrCat("prompt ", number, " has no tokens"));
  }
  if (static_cast<int64_t>(tokens.size()) > spec.max_prompt_tokens()) {
    return PromptTooLong(spec, number, tokens.size());
  }
  for (size_t position = 0; position < tokens.size(); ++position) {
    if (tokens[position] >= 0 && tokens[position] < spec.vocab_size) continue;
    return WithReason(absl::InvalidArgumentError(absl::StrCat(
                          "prompt ", number, ", position ", position, ": token id ", tokens[position],
                          " is outside the vocabulary; ids are 0 to ", spec.vocab_size - 1)),
                      reason::kTokenOutsideVocabulary, "prompts");
  }
  return absl::OkStatus();
}

absl::Status ValidateTargets(size_t number, const PassPrompt& prompt, int64_t n_groups) {
  for (const ReadoutTarget& target : prompt.targets) {
    if (target.key <= target.query && target.query < prompt.tokens.size() && target.group < n_groups)
      continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "prompt ", number, ": the readout target (query ", target.query, ", key ", target.key, ", group ",
        target.group, ") is out of range for ", prompt.tokens.size(), " tokens and ", n_groups, " groups"));
  }
  return absl::OkStatus();
}

absl::Status ValidateHeads(const DecoderSpec& spec, size_t number, std::span<const Head> heads) {
  std::set<Head> seen;
  for (const Head& head : heads) {
    const bool in_range = head.layer < spec.n_layers && head.head < spec.n_heads;
    if (in_range && seen.insert(head).second) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "variant ", number, ": head ", head.head, " of layer ", head.layer,
        in_range ? " comes twice"
                 : absl::StrCat(" is not one of the model's ", spec.n_layers, " layers of ", spec.n_heads)));
  }
  return absl::OkStatus();
}

absl::Status ValidateBatching(int64_t batch_size, int64_t activation_budget) {
  if (batch_size >= 0 && activation_budget >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("batch_size ", batch_size,
                                                 " must be at least 0, activation_budget ", activation_budget,
                                                 " at least 1"));
}

absl::Status ValidatePosition(absl::string_view field, int64_t position) {
  if (position >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " ", position, " must be at least 0"));
}

}  // namespace

absl::Status ValidateSpec(const DecoderSpec& spec) {
  const bool positive = spec.n_layers > 0 && spec.n_heads > 0 && spec.n_kv_heads > 0 && spec.d_model > 0 &&
                        spec.d_head > 0 && spec.d_mlp > 0 && spec.vocab_size > 0 && spec.max_positions > 0;
  if (!positive) return BadCheckpoint("every size of a model must be at least 1");
  INDUCT_RETURN_IF_ERROR(ValidateAttention(spec));
  INDUCT_RETURN_IF_ERROR(ValidateRotary(spec));
  if (static_cast<int64_t>(spec.layers.size()) != spec.n_layers) {
    return BadCheckpoint(
        absl::StrCat("tensors of ", spec.layers.size(), " layers are named for a model of ", spec.n_layers));
  }
  for (const LayerTensors& layer : spec.layers) INDUCT_RETURN_IF_ERROR(ValidateLayer(spec, layer));
  return absl::OkStatus();
}

absl::Status ValidateTensors(const DecoderSpec& spec, const TensorSource& source) {
  for (const TensorSpec* tensor : TensorsOf(spec)) INDUCT_RETURN_IF_ERROR(ValidateTensor(*tensor, source));
  return absl::OkStatus();
}

absl::Status ValidatePass(const DecoderSpec& spec, const Pass& pass) {
  if (pass.prompts.empty()) return InvalidField("prompts", "a pass needs at least one prompt");
  INDUCT_RETURN_IF_ERROR(ValidateBatching(pass.batch_size, pass.activation_budget));
  if (pass.n_groups < 1) {
    return absl::InvalidArgumentError(absl::StrCat("n_groups ", pass.n_groups, " must be at least 1"));
  }
  if (pass.n_layers < 0 || pass.n_layers > spec.n_layers) {
    return absl::InvalidArgumentError(
        absl::StrCat("n_layers ", pass.n_layers, " must be 0 (all) to ", spec.n_layers, ", the model's"));
  }
  INDUCT_RETURN_IF_ERROR(ValidatePosition("first_output_position", pass.first_output_position));
  for (size_t number = 0; number < pass.prompts.size(); ++number) {
    INDUCT_RETURN_IF_ERROR(ValidateTokens(spec, number, pass.prompts[number].tokens));
    INDUCT_RETURN_IF_ERROR(ValidateTargets(number, pass.prompts[number], pass.n_groups));
  }
  return absl::OkStatus();
}

absl::Status ValidateAblationPass(const DecoderSpec& spec, const AblationPass& pass) {
  if (pass.prompts.empty()) return InvalidField("prompts", "a pass needs at least one prompt");
  if (pass.variants.empty()) return absl::InvalidArgumentError("a pass of variants needs at least one");
  if (!pass.on_predictions) return absl::InvalidArgumentError("a pass of variants needs on_predictions");
  INDUCT_RETURN_IF_ERROR(ValidateBatching(pass.batch_size, pass.activation_budget));
  INDUCT_RETURN_IF_ERROR(ValidatePosition("first_position", pass.first_position));
  const int64_t n_values = spec.n_layers * spec.n_heads * spec.d_head;
  if (!pass.replacement.empty() && static_cast<int64_t>(pass.replacement.size()) != n_values) {
    return absl::InvalidArgumentError(absl::StrCat("the replacement has ", pass.replacement.size(),
                                                   " values; it needs none or ", n_values,
                                                   ", a vector for each of the model's heads"));
  }
  for (size_t number = 0; number < pass.prompts.size(); ++number) {
    INDUCT_RETURN_IF_ERROR(ValidateTokens(spec, number, pass.prompts[number]));
  }
  for (size_t number = 0; number < pass.variants.size(); ++number) {
    INDUCT_RETURN_IF_ERROR(ValidateHeads(spec, number, pass.variants[number]));
  }
  return absl::OkStatus();
}

}  // namespace induct::engine
