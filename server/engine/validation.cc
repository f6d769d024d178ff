#include "server/engine/validation.h"

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

std::vector<const TensorSpec*> AllTensors(const DecoderSpec& spec) {
  std::vector<const TensorSpec*> tensors = {&spec.token_embedding, &spec.final_norm_weight,
                                            &spec.final_norm_bias, &spec.unembedding};
  for (const LayerTensors& layer : spec.layers) {
    tensors.insert(tensors.end(),
                   {&layer.attention_norm_weight, &layer.attention_norm_bias, &layer.qkv_weight,
                    &layer.qkv_bias, &layer.attention_output_weight, &layer.attention_output_bias,
                    &layer.mlp_norm_weight, &layer.mlp_norm_bias, &layer.mlp_input_weight,
                    &layer.mlp_input_bias, &layer.mlp_output_weight, &layer.mlp_output_bias});
  }
  return tensors;
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

absl::Status ValidateTokens(const DecoderSpec& spec, size_t number, std::span<const int32_t> tokens) {
  if (tokens.empty()) {
    return InvalidField("prompts", absl::StrCat("prompt ", number, " has no tokens"));
  }
  if (static_cast<int64_t>(tokens.size()) > spec.max_positions) {
    return WithReason(
        absl::InvalidArgumentError(absl::StrCat("prompt ", number, " has ", tokens.size(),
                                                " tokens; the model's context holds ", spec.max_positions)),
        reason::kPromptTooLong, "prompts");
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

}  // namespace

absl::Status ValidateSpec(const DecoderSpec& spec) {
  const bool positive = spec.n_layers > 0 && spec.n_heads > 0 && spec.d_head > 0 && spec.d_mlp > 0 &&
                        spec.vocab_size > 0 && spec.max_positions > 0;
  if (!positive) return BadCheckpoint("every size of a model must be at least 1");
  if (spec.n_heads * spec.d_head != spec.d_model) {
    return BadCheckpoint(absl::StrCat("d_model ", spec.d_model, " is not n_heads ", spec.n_heads,
                                      " times d_head ", spec.d_head));
  }
  if (spec.rotary_dims < 0 || spec.rotary_dims > spec.d_head || spec.rotary_dims % 2 != 0) {
    return BadCheckpoint(
        absl::StrCat("rotary_dims ", spec.rotary_dims, " must be even and at most d_head ", spec.d_head));
  }
  if (static_cast<int64_t>(spec.layers.size()) != spec.n_layers) {
    return BadCheckpoint(
        absl::StrCat("tensors of ", spec.layers.size(), " layers are named for a model of ", spec.n_layers));
  }
  return absl::OkStatus();
}

absl::Status ValidateTensors(const DecoderSpec& spec, const TensorSource& source) {
  for (const TensorSpec* tensor : AllTensors(spec)) INDUCT_RETURN_IF_ERROR(ValidateTensor(*tensor, source));
  return absl::OkStatus();
}

absl::Status ValidatePass(const DecoderSpec& spec, const Pass& pass) {
  if (pass.prompts.empty()) return InvalidField("prompts", "a pass needs at least one prompt");
  if (pass.n_groups < 1 || pass.batch_size < 0 || pass.activation_budget < 1) {
    return absl::InvalidArgumentError(absl::StrCat("n_groups ", pass.n_groups, " and activation_budget ",
                                                   pass.activation_budget, " must be at least 1, batch_size ",
                                                   pass.batch_size, " at least 0"));
  }
  for (size_t number = 0; number < pass.prompts.size(); ++number) {
    INDUCT_RETURN_IF_ERROR(ValidateTokens(spec, number, pass.prompts[number].tokens));
    INDUCT_RETURN_IF_ERROR(ValidateTargets(number, pass.prompts[number], pass.n_groups));
  }
  return absl::OkStatus();
}

}  // namespace induct::engine
