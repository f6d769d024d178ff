#include "server/models/model_outline.h"

#include <utility>

#include "common/status.h"
#include "server/checkpoint/checkpoint.h"

namespace induct::models {

absl::StatusOr<ModelOutline> ReadOutline(const hub::Outline& outline) {
  INDUCT_ASSIGN_OR_RETURN(checkpoint::ConfigSummary config, checkpoint::ReadConfig(outline.directory));
  ModelOutline model{
      .spec = std::move(config.spec), .dtype = config.dtype, .weight_bytes = outline.weight_bytes};
  auto tokenizer = checkpoint::LoadTokenizerOf(outline.directory);
  if (tokenizer.ok()) {
    model.tokenizer = *std::move(tokenizer);
  } else if (ReasonOf(tokenizer.status()) == reason::kNoTokenizer) {
    model.tokenizer_problem = "it has no tokenizer.json";
  } else if (ReasonOf(tokenizer.status()) == reason::kUnsupportedModel) {
    model.tokenizer_problem = std::string(tokenizer.status().message());
  } else {
    return tokenizer.status();
  }
  return model;
}

}  // namespace induct::models
