#include "server/checkpoint/rotary_config.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/model_config.h"

namespace induct::checkpoint {
namespace {

constexpr double kDefaultBase = 10000.0;

// The object that counts: transformers reads rope_parameters only where rope_scaling is absent or empty.
absl::StatusOr<std::optional<JsonFields>> FindRope(const JsonFields& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const nlohmann::json* value = config.Find(key);
    if (value == nullptr || (value->is_object() && value->empty())) continue;
    INDUCT_ASSIGN_OR_RETURN(const JsonFields rope, config.Object(key));
    for (const auto& [name, member] : value->items()) {
      if (!member.is_object()) continue;
      return UnsupportedModel(absl::StrCat(rope.what(), ": ", Quoted(name),
                                           " gives some layers a rotary embedding of their own, which is not "
                                           "supported; one for all layers is"));
    }
    return rope;
  }
  return std::nullopt;
}

// `type` is the older spelling of rope_type; releases between wrote both.
absl::StatusOr<std::string> ReadRopeType(const JsonFields& rope) {
  INDUCT_ASSIGN_OR_RETURN(const std::string older, rope.TextOr("type", "default"));
  INDUCT_ASSIGN_OR_RETURN(const std::string type, rope.TextOr("rope_type", older));
  if (rope.Find("type") != nullptr && type != older) {
    return BadCheckpoint(
        absl::StrCat(rope.what(), ": rope_type ", Quoted(type), " contradicts type ", Quoted(older)));
  }
  return type;
}

absl::StatusOr<double> ReadPositive(const JsonFields& rope, const char* key) {
  INDUCT_ASSIGN_OR_RETURN(const double value, rope.Number(key));
  if (!(value > 0.0)) return rope.Wrong(key, "must be positive");
  return value;
}

absl::StatusOr<Llama3Scaling> ReadLlama3(const JsonFields& config, const JsonFields& rope) {
  constexpr char kPositions[] = "original_max_position_embeddings";
  Llama3Scaling scaling;
  INDUCT_ASSIGN_OR_RETURN(scaling.factor, ReadPositive(rope, "factor"));
  INDUCT_ASSIGN_OR_RETURN(scaling.low_frequency_factor, ReadPositive(rope, "low_freq_factor"));
  INDUCT_ASSIGN_OR_RETURN(scaling.high_frequency_factor, ReadPositive(rope, "high_freq_factor"));
  INDUCT_ASSIGN_OR_RETURN(const int64_t positions, rope.Integer(kPositions, 1, kMaxPositions));
  scaling.original_positions = static_cast<double>(positions);
  if (!(scaling.low_frequency_factor < scaling.high_frequency_factor)) {
    return rope.Wrong("low_freq_factor",
                      absl::StrCat("must be below high_freq_factor ", scaling.high_frequency_factor));
  }
  INDUCT_ASSIGN_OR_RETURN(const int64_t outside, config.IntegerOr(kPositions, 1, kMaxPositions, positions));
  if (outside != positions) {
    return config.Wrong(kPositions, absl::StrCat("contradicts that of ", rope.what(), ", ", positions));
  }
  return scaling;
}

absl::Status ReadScaling(const JsonFields& config, const JsonFields& rope, DecoderSpec& spec) {
  INDUCT_ASSIGN_OR_RETURN(const std::string type, ReadRopeType(rope));
  if (type == "default") return absl::OkStatus();
  if (type == "llama3") {
    INDUCT_ASSIGN_OR_RETURN(spec.rotary_scaling, ReadLlama3(config, rope));
    return absl::OkStatus();
  }
  return UnsupportedModel(
      absl::StrCat(rope.what(), ": rope type ", Quoted(type), " is not supported; default and llama3 are"));
}

absl::Status SetRotaryDims(const JsonFields& config, const RotaryKeys& keys, double fraction,
                           DecoderSpec& spec) {
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    return BadCheckpoint(absl::StrCat(config.what(), ": the rotary fraction (", keys.fraction,
                                      " or partial_rotary_factor of rope_parameters) must be from 0 to 1, "
                                      "not ",
                                      fraction));
  }
  spec.rotary_dims = static_cast<int64_t>(static_cast<double>(spec.d_head) * fraction);
  if (spec.rotary_dims % 2 == 0) return absl::OkStatus();
  return BadCheckpoint(absl::StrCat(config.what(), ": the rotary fraction ", fraction, " of a head of ",
                                    spec.d_head, " gives ", spec.rotary_dims,
                                    " rotary dimensions, which must be even"));
}

}  // namespace

absl::Status ReadRotary(const JsonFields& config, const RotaryKeys& keys, DecoderSpec& spec) {
  INDUCT_ASSIGN_OR_RETURN(double fraction, config.NumberOr(keys.fraction, keys.default_fraction));
  INDUCT_ASSIGN_OR_RETURN(spec.rotary_base, config.NumberOr(keys.base, kDefaultBase));
  INDUCT_ASSIGN_OR_RETURN(const std::optional<JsonFields> rope, FindRope(config));
  if (rope) {
    INDUCT_ASSIGN_OR_RETURN(fraction, rope->NumberOr("partial_rotary_factor", fraction));
    INDUCT_ASSIGN_OR_RETURN(spec.rotary_base, rope->NumberOr("rope_theta", spec.rotary_base));
    INDUCT_RETURN_IF_ERROR(ReadScaling(config, *rope, spec));
  }
  if (!(spec.rotary_base > 0.0)) {
    return BadCheckpoint(absl::StrCat(config.what(), ": the rotary base (", keys.base,
                                      " or rope_theta of rope_parameters) must be positive, not ",
                                      spec.rotary_base));
  }
  return SetRotaryDims(config, keys, fraction, spec);
}

}  // namespace induct::checkpoint
