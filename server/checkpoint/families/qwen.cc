#include "server/checkpoint/families/qwen.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"
#include "server/checkpoint/families/llama.h"
#include "server/checkpoint/model_config.h"

namespace induct::checkpoint {
namespace {

constexpr int64_t kDefaultKvHeads = 32;

// Whether layer_types, one word a layer, gives any layer a window.
absl::StatusOr<bool> AnyTypeSlides(const JsonFields& config, const nlohmann::json& types, int64_t n_layers) {
  if (!types.is_array() || static_cast<int64_t>(types.size()) != n_layers) {
    return config.Wrong("layer_types", absl::StrCat("must be a list of ", n_layers, " words, one a layer"));
  }
  bool slides = false;
  for (const nlohmann::json& type : types) {
    if (!type.is_string()) return config.Wrong("layer_types", "must hold words only");
    const auto& word = type.get_ref<const std::string&>();
    if (word != "full_attention" && word != "sliding_attention") {
      return UnsupportedModel(absl::StrCat(config.what(), ": layer_types holds ", Quoted(word),
                                           ", which is not supported; full_attention and sliding_attention "
                                           "are"));
    }
    slides = slides || word == "sliding_attention";
  }
  return slides;
}

// Without layer_types, the layers from max_window_layers on have the window.
absl::StatusOr<bool> AnyLayerSlides(const JsonFields& config, bool has_window, int64_t n_layers) {
  const nlohmann::json* types = config.Find("layer_types");
  if (types != nullptr) return AnyTypeSlides(config, *types, n_layers);
  INDUCT_ASSIGN_OR_RETURN(const int64_t first, config.IntegerOr("max_window_layers", 0, kMaxLayers, 28));
  return has_window && first < n_layers;
}

// The window that some layers have; 0: none has one.
absl::StatusOr<int64_t> ReadSlidingWindow(const JsonFields& config, int64_t n_layers) {
  INDUCT_ASSIGN_OR_RETURN(const bool used, config.FlagOr("use_sliding_window", false));
  const bool has_window = used && (config.Find("sliding_window") != nullptr || !config.Has("sliding_window"));
  INDUCT_ASSIGN_OR_RETURN(const bool slides, AnyLayerSlides(config, has_window, n_layers));
  if (!slides) return 0;
  if (!has_window) {
    return BadCheckpoint(absl::StrCat(config.what(),
                                      ": layer_types holds sliding_attention, but use_sliding_window or "
                                      "sliding_window says that there is no window"));
  }
  return config.IntegerOr("sliding_window", 1, kMaxPositions, 4096);
}

absl::StatusOr<DecoderSpec> ParseQwen(const JsonFields& config, const LlamaChoices& choices) {
  INDUCT_ASSIGN_OR_RETURN(DecoderSpec spec, ParseLlamaPlan(config, choices));
  INDUCT_ASSIGN_OR_RETURN(spec.sliding_window, ReadSlidingWindow(config, spec.n_layers));
  return spec;
}

}  // namespace

absl::StatusOr<DecoderSpec> ParseQwen2(const JsonFields& config) {
  return ParseQwen(config, {.default_kv_heads = kDefaultKvHeads, .qkv_bias = true});
}

absl::StatusOr<DecoderSpec> ParseQwen3(const JsonFields& config) {
  INDUCT_ASSIGN_OR_RETURN(const bool attention_bias, config.FlagOr("attention_bias", false));
  return ParseQwen(config, {.default_kv_heads = kDefaultKvHeads,
                            .default_d_head = 128,
                            .qkv_bias = attention_bias,
                            .attention_output_bias = attention_bias,
                            .query_key_norm = true});
}

}  // namespace induct::checkpoint
