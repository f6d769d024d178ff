// The prompts of a run, tokenised: generated ones, or those that the user gave.
#pragma once

#include <cstdint>
#include <memory>
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
  std::vector<GivenPrompt> given;             // where there are any, nothing is generated
  std::string given_field = "given_prompts";  // the request's field that they came in, for errors
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

using ModelFilesList = std::vector<std::shared_ptr<const models::ModelFiles>>;

// Makes the prompts of a job, one set for each of its models: the same texts (RANDOM and token rows: the same
// ids) in all of them. The same request and tokenizers give the same prompts on every platform. Words are
// those that are one token in every tokenizer; where tokenizers differ, a given prompt's text counts and not
// its ids. What has to be said of all models is among the first set's warnings.
//
// INVALID_ARGUMENT: nothing or only blanks given, ids outside the vocabulary, a prompt longer than a model's
// context, seq_len beyond it, lags or words that do not fit (saying which tokenizer lacks words), prompts
// with different numbers of BOS tokens, RANDOM or prompts made of ids for models with different tokenizers
// (DIFFERENT_TOKENIZERS). FAILED_PRECONDITION (NO_TOKENIZER): text for a model without tokenizer. What
// one given prompt is at fault for names it, counted from 0, and has its path as field: "given_prompts[3]" or
// "given_prompts[3].token_ids[2]". CANCELLED soon after `stop` is requested. REQUIRES: at least one model.
absl::StatusOr<std::vector<PromptSet>> MakeSharedPrompts(const PromptRequest& request,
                                                         const ModelFilesList& models,
                                                         std::stop_token stop = {});

// The same for one model.
absl::StatusOr<PromptSet> MakePrompts(const PromptRequest& request,
                                      const std::shared_ptr<const models::ModelFiles>& files,
                                      std::stop_token stop = {});

// How many of the words that prompts are made of are one token.
struct WordCounts {
  uint32_t letters = 0;  // for ABAB, of 52
  uint32_t names = 0;    // for NAMES
};
absl::StatusOr<WordCounts> CountWords(const checkpoint::Tokenizer& tokenizer);

}  // namespace induct::runs
