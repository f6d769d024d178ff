// The prompts of a run, tokenised: generated ones, or those that the user gave.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/analysis/prompts.h"
#include "server/models/model_registry.h"

namespace induct::runs {

// A prompt as the user gave it: ids where there are any, else text.
struct GivenPrompt {
  std::string task;  // empty: TEXT or TOKENS by content
  uint32_t lag = 0;
  std::optional<std::string> text;
  std::vector<uint32_t> token_ids;
  uint32_t n_bos = 0;  // leading token_ids that are BOS
};

struct PromptRequest {
  std::vector<GivenPrompt> given;  // where there are any, nothing is generated
  std::vector<std::string> task_types;
  std::vector<uint32_t> lag_values;
  uint32_t n_sequences = 400;
  bool uniform_mix = false;
  uint32_t n_repeats = 2;
  bool prepend_bos = true;
  uint32_t seq_len = 256;
  uint32_t min_lag = 3;  // for the warning about lags that do not count
  uint64_t seed = 0;
};

struct PromptSet {
  std::vector<analysis::Prompt> prompts;  // never empty
  std::vector<std::string> warnings;
};

// Makes the prompts for one model. The same request and tokenizer give the same prompts on every platform.
// INVALID_ARGUMENT: nothing or only blanks given, ids outside the vocabulary, a prompt longer than the
// model's context, seq_len beyond it, lags or words that do not fit, prompts with different numbers of BOS
// tokens. FAILED_PRECONDITION (NO_TOKENIZER): text for a model without tokenizer. Each names the prompt,
// counted from 1. CANCELLED soon after `stop` is requested.
absl::StatusOr<PromptSet> MakePrompts(const PromptRequest& request, const models::ModelFiles& files,
                                      std::stop_token stop = {});

}  // namespace induct::runs
