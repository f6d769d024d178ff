// Prompt tasks: what the generated prompts of a run are. Definitions: docs/method.md, "Prompt tasks".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace induct::analysis {

// A prompt as every analysis sees it: token ids of its real length, never padded.
struct Prompt {
  std::string task;             // "ABAB", "NAMES", "RANDOM", "TEXT" or "TOKENS"
  uint32_t lag = 0;             // block length of a generated prompt; 0: TEXT and TOKENS
  std::string text;             // empty: made of ids
  std::vector<int32_t> tokens;  // BOS included
  uint32_t n_bos = 0;           // 0 or 1, the same for all prompts of a job
};

// The candidate words of a task, without their leading space. ABAB: the 52 letters; NAMES: at least 40 given
// names; none for every other task.
const std::vector<std::string>& TaskWords(std::string_view task);

struct PromptOptions {
  std::vector<std::string> task_types;  // of ABAB, NAMES, RANDOM; no duplicates
  std::vector<uint32_t> lag_values;     // >= 1; no duplicates
  uint32_t n_sequences = 400;
  bool uniform_mix = false;  // each prompt draws its lag; else lags are dealt evenly
  uint32_t n_repeats = 2;    // >= 2, or 0: as often as seq_len holds
  uint32_t seq_len = 256;    // with the BOS
  uint32_t n_bos = 0;
  uint64_t seed = 0;
};

// What the job's tokenizers offer; no entry twice. Where a job has RANDOM beside ABAB or NAMES,
// `ordinary_ids` should not hold the ids of their words, or a RANDOM row of a short lag may equal one of
// theirs.
struct Vocabulary {
  // Those of TaskWords that are one token, with a leading space, in every tokenizer.
  std::vector<std::string> letters, names;
  std::vector<int32_t> ordinary_ids;  // for RANDOM
};

// A generated prompt before it is tokenised: words (text " w1 w2 ...") or, for RANDOM, ids without BOS.
struct GeneratedPrompt {
  std::string task;
  uint32_t lag = 0;
  std::string text;
  std::vector<int32_t> ids;
};

struct GeneratedPrompts {
  std::vector<GeneratedPrompt> prompts;
  std::vector<std::string> warnings;  // fewer distinct rows exist than asked, ...
};

// n_sequences split evenly over task_types, then over lag_values (earlier ones get the remainder), by
// dealing: prompt i has task i mod n_tasks, and the j-th prompt of a task has lag j mod n_lags (uniform_mix:
// a drawn one). So every beginning of the list is as even as the whole.
//
// Each (task, lag) draws from a stream of its own: its first k blocks are the same whatever else is asked
// for. No row comes twice; where too few exist, the rest is left out with a warning. The result is the same
// on every platform for the same options and vocabulary.
//
// INVALID_ARGUMENT: an option out of its range, such as a lag beyond (seq_len - n_bos) / 2 (field
// prompts.lag_values), or NOT_ENOUGH_WORDS where a lag exceeds the words there are, saying how many there are
// and for which task.
absl::StatusOr<GeneratedPrompts> GeneratePrompts(const PromptOptions& options, const Vocabulary& vocabulary);

// The first task that has fewer words than the longest lag; nothing where all have enough. REQUIRES: there is
// a lag.
std::optional<std::string> TaskShortOfWords(const PromptOptions& options, const Vocabulary& vocabulary);

}  // namespace induct::analysis
