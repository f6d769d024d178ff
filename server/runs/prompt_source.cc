#include "server/runs/prompt_source.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"

namespace induct::runs {
namespace {

absl::StatusOr<const checkpoint::Tokenizer*> NeedTokenizer(const models::ModelFiles& files,
                                                           const std::string& what) {
  if (files.tokenizer() != nullptr) return files.tokenizer();
  return WithReason(
      absl::FailedPreconditionError(absl::StrCat(what, " needs a tokenizer, and model ", files.name(),
                                                 " has no tokenizer.json; give token rows instead (TOKENS)")),
      reason::kNoTokenizer);
}

absl::Status CheckSeqLen(const PromptRequest& request, const DecoderSpec& spec) {
  if (request.seq_len <= spec.max_positions) return absl::OkStatus();
  return WithReason(
      InvalidField("seq_len", absl::StrCat(request.seq_len, " tokens asked, the model's context is ",
                                           spec.max_positions)),
      reason::kPromptTooLong, "seq_len");
}

// The task's words that are one token, with their leading space.
absl::StatusOr<std::vector<std::string>> SingleTokenWords(const checkpoint::Tokenizer& tokenizer,
                                                          const std::string& task) {
  std::vector<std::string> words;
  for (const std::string& word : analysis::TaskWords(task)) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(absl::StrCat(" ", word)));
    if (ids.size() == 1) words.push_back(word);
  }
  return words;
}

// Ids for RANDOM: ordinary ones that the model's embedding has a row for (vocabularies and embeddings may
// differ in size). Those of the words that the job's other tasks use are left out, so that a RANDOM row is
// never a letter or name row again.
absl::StatusOr<std::vector<int32_t>> RandomIds(const checkpoint::Tokenizer& tokenizer, int64_t vocab_size,
                                               const std::vector<std::string>& words) {
  std::set<int32_t> taken;
  for (const std::string& word : words) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(absl::StrCat(" ", word)));
    taken.insert(ids.begin(), ids.end());
  }
  std::vector<int32_t> ids = tokenizer.ordinary_ids();
  std::erase_if(ids, [&](int32_t id) { return id >= vocab_size || taken.contains(id); });
  return ids;
}

bool Asks(const PromptRequest& request, const std::string& task) {
  return std::find(request.task_types.begin(), request.task_types.end(), task) != request.task_types.end();
}

// What the model's tokenizer offers the tasks that are asked for.
absl::StatusOr<analysis::Vocabulary> VocabularyFor(const PromptRequest& request,
                                                   const checkpoint::Tokenizer& tokenizer,
                                                   int64_t vocab_size) {
  analysis::Vocabulary vocabulary;
  std::vector<std::string> used;
  if (Asks(request, "ABAB")) {
    INDUCT_ASSIGN_OR_RETURN(vocabulary.letters, SingleTokenWords(tokenizer, "ABAB"));
    used.insert(used.end(), vocabulary.letters.begin(), vocabulary.letters.end());
  }
  if (Asks(request, "NAMES")) {
    INDUCT_ASSIGN_OR_RETURN(vocabulary.names, SingleTokenWords(tokenizer, "NAMES"));
    used.insert(used.end(), vocabulary.names.begin(), vocabulary.names.end());
  }
  if (Asks(request, "RANDOM")) {
    INDUCT_ASSIGN_OR_RETURN(vocabulary.ordinary_ids, RandomIds(tokenizer, vocab_size, used));
  }
  return vocabulary;
}

void WarnAboutShortLags(const PromptRequest& request, std::vector<std::string>* warnings) {
  std::vector<uint32_t> shorter;
  std::copy_if(request.lag_values.begin(), request.lag_values.end(), std::back_inserter(shorter),
               [&](uint32_t lag) { return lag < request.min_lag; });
  if (shorter.empty()) return;
  warnings->push_back(absl::StrCat("lag ", absl::StrJoin(shorter, ", "), " is below min_lag ",
                                   request.min_lag, ": its operations do not count"));
}

// The tokens of one prompt's text or ids, with `n_bos` BOS tokens before them.
std::vector<int32_t> WithBos(std::vector<int32_t> tokens, uint32_t n_bos, int64_t bos_token_id) {
  if (n_bos > 0) tokens.insert(tokens.begin(), static_cast<int32_t>(bos_token_id));
  return tokens;
}

uint32_t BosCount(const PromptRequest& request, const models::ModelFiles& files) {
  return request.prepend_bos && files.bos_token_id() >= 0 ? 1 : 0;
}

absl::Status Stopped() { return absl::CancelledError("stopped while the prompts were made"); }

absl::StatusOr<PromptSet> Generate(const PromptRequest& request, const models::ModelFiles& files,
                                   const std::stop_token& stop) {
  INDUCT_RETURN_IF_ERROR(CheckSeqLen(request, files.spec()));
  INDUCT_ASSIGN_OR_RETURN(
      const checkpoint::Tokenizer* tokenizer,
      NeedTokenizer(files, absl::StrCat("the task ", absl::StrJoin(request.task_types, ", "))));
  INDUCT_ASSIGN_OR_RETURN(const analysis::Vocabulary vocabulary,
                          VocabularyFor(request, *tokenizer, files.spec().vocab_size));
  const uint32_t n_bos = BosCount(request, files);
  INDUCT_ASSIGN_OR_RETURN(auto generated, analysis::GeneratePrompts({.task_types = request.task_types,
                                                                     .lag_values = request.lag_values,
                                                                     .n_sequences = request.n_sequences,
                                                                     .uniform_mix = request.uniform_mix,
                                                                     .n_repeats = request.n_repeats,
                                                                     .seq_len = request.seq_len,
                                                                     .n_bos = n_bos,
                                                                     .seed = request.seed},
                                                                    vocabulary));
  PromptSet set{.warnings = std::move(generated.warnings)};
  WarnAboutShortLags(request, &set.warnings);
  for (analysis::GeneratedPrompt& made : generated.prompts) {
    if (stop.stop_requested()) return Stopped();
    std::vector<int32_t> tokens = std::move(made.ids);
    if (!made.text.empty()) {
      INDUCT_ASSIGN_OR_RETURN(tokens, tokenizer->Encode(made.text));
    }
    set.prompts.push_back({.task = std::move(made.task),
                           .lag = made.lag,
                           .text = std::move(made.text),
                           .tokens = WithBos(std::move(tokens), n_bos, files.bos_token_id()),
                           .n_bos = n_bos});
  }
  return set;
}

// Tokenises given prompts one by one and remembers what has to be said about all of them.
class GivenPromptReader {
 public:
  GivenPromptReader(const PromptRequest& request, const models::ModelFiles& files)
      : request_(request), files_(files) {}

  absl::StatusOr<PromptSet> ReadAll(const std::stop_token& stop) {
    PromptSet set;
    for (size_t i = 0; i < request_.given.size(); ++i) {
      if (stop.stop_requested()) return Stopped();
      number_ = i + 1;
      INDUCT_ASSIGN_OR_RETURN(analysis::Prompt prompt, Read(request_.given[i]));
      if (!set.prompts.empty() && prompt.n_bos != set.prompts.front().n_bos) return MixedBos();
      set.prompts.push_back(std::move(prompt));
    }
    if (cut_ > 0) {
      set.warnings.push_back(absl::StrCat(cut_, cut_ == 1 ? " prompt was" : " prompts were",
                                          " cut to seq_len ", request_.seq_len, " tokens"));
    }
    return set;
  }

 private:
  absl::StatusOr<analysis::Prompt> Read(const GivenPrompt& given) {
    const bool by_ids = !given.token_ids.empty();
    analysis::Prompt prompt{.task = !given.task.empty() ? given.task
                                    : by_ids            ? "TOKENS"
                                                        : "TEXT",
                            .lag = given.lag};
    if (given.text) prompt.text = *given.text;
    INDUCT_RETURN_IF_ERROR(by_ids ? TakeIds(given, &prompt) : TakeText(&prompt));
    return prompt;
  }

  absl::Status TakeIds(const GivenPrompt& given, analysis::Prompt* prompt) const {
    const DecoderSpec& spec = files_.spec();
    if (given.token_ids.size() > static_cast<size_t>(spec.max_positions)) {
      return Fault(reason::kPromptTooLong,
                   absl::StrCat("it has ", given.token_ids.size(), " tokens, the model's context is ",
                                spec.max_positions));
    }
    if (given.n_bos > 1 || given.n_bos >= given.token_ids.size()) {
      return Fault(reason::kInvalidField, absl::StrCat("n_bos ", given.n_bos, " of ", given.token_ids.size(),
                                                       " tokens; 0 or 1 and fewer than the tokens"));
    }
    for (size_t t = 0; t < given.token_ids.size(); ++t) {
      if (given.token_ids[t] >= spec.vocab_size) {
        return Fault(reason::kTokenOutsideVocabulary,
                     absl::StrCat("token id ", given.token_ids[t], " at position ", t,
                                  " is outside the vocabulary of ", spec.vocab_size));
      }
    }
    prompt->tokens.assign(given.token_ids.begin(), given.token_ids.end());
    prompt->n_bos = given.n_bos;
    return absl::OkStatus();
  }

  absl::Status TakeText(analysis::Prompt* prompt) {
    if (prompt->text.find_first_not_of(" \t\r\n\v\f") == std::string::npos)
      return Fault(reason::kInvalidField, "it is empty or blank");
    INDUCT_RETURN_IF_ERROR(CheckSeqLen(request_, files_.spec()));
    INDUCT_ASSIGN_OR_RETURN(const checkpoint::Tokenizer* tokenizer, NeedTokenizer(files_, "a text prompt"));
    absl::StatusOr<std::vector<int32_t>> ids = tokenizer->Encode(prompt->text);
    if (!ids.ok()) return Annotate(ids.status(), absl::StrCat("prompt ", number_));
    prompt->n_bos = BosCount(request_, files_);
    prompt->tokens = WithBos(*std::move(ids), prompt->n_bos, files_.bos_token_id());
    if (prompt->tokens.size() > request_.seq_len) {
      prompt->tokens.resize(request_.seq_len);
      ++cut_;
    }
    const auto outside = std::find_if(prompt->tokens.begin(), prompt->tokens.end(),
                                      [&](int32_t id) { return id >= files_.spec().vocab_size; });
    if (outside != prompt->tokens.end()) {
      return Fault(reason::kTokenOutsideVocabulary,
                   absl::StrCat("the tokenizer gives id ", *outside, ", the model's vocabulary has ",
                                files_.spec().vocab_size));
    }
    return absl::OkStatus();
  }

  absl::Status Fault(const char* reason, const std::string& what) const {
    return WithReason(InvalidField("given_prompts", absl::StrCat("prompt ", number_, ": ", what)), reason,
                      "given_prompts");
  }

  absl::Status MixedBos() const {
    return Fault(reason::kInvalidField,
                 "it begins with another number of BOS tokens than the prompts before; token rows are used "
                 "as they are, so give texts beside "
                 "them with prepend_bos false, or n_bos with the rows");
  }

  const PromptRequest& request_;
  const models::ModelFiles& files_;
  size_t number_ = 0;
  size_t cut_ = 0;
};

}  // namespace

absl::StatusOr<PromptSet> MakePrompts(const PromptRequest& request, const models::ModelFiles& files,
                                      std::stop_token stop) {
  return request.given.empty() ? Generate(request, files, stop)
                               : GivenPromptReader(request, files).ReadAll(stop);
}

}  // namespace induct::runs
