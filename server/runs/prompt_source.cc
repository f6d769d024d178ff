#include "server/runs/prompt_source.h"

#include <algorithm>
#include <iterator>
#include <map>
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
                                                 " has none that can be used: ", files.tokenizer_problem(),
                                                 "; give token rows instead (TOKENS)")),
      reason::kNoTokenizer);
}

absl::Status CheckSeqLen(const PromptRequest& request, const DecoderSpec& spec) {
  if (request.seq_len <= spec.max_positions) return absl::OkStatus();
  return WithReason(
      InvalidField("seq_len", absl::StrCat(request.seq_len, " tokens asked, the model's context is ",
                                           spec.max_positions)),
      reason::kPromptTooLong, "seq_len");
}

// Whether an id stands for the same token in both.
bool SameTokenizer(const models::ModelFiles& a, const models::ModelFiles& b) {
  const checkpoint::Tokenizer *one = a.tokenizer(), *other = b.tokenizer();
  if (one == other) return true;
  if (one == nullptr || other == nullptr) return false;
  if (one->size() != other->size() || one->ordinary_ids() != other->ordinary_ids()) return false;
  for (int32_t id = 0; id < one->size(); ++id) {
    if (one->Decode(std::span(&id, 1)) != other->Decode(std::span(&id, 1))) return false;
  }
  return true;
}

// The first model whose tokenizer is another than the first's; nullptr where they share one.
const models::ModelFiles* OddTokenizer(const ModelFilesList& models) {
  const auto odd = std::find_if(models.begin(), models.end(),
                                [&](const auto& files) { return !SameTokenizer(*models.front(), *files); });
  return odd == models.end() ? nullptr : odd->get();
}

absl::Status DifferentTokenizers(const std::string& field, const std::string& what,
                                 const ModelFilesList& models, const models::ModelFiles& odd) {
  return WithReason(
      InvalidField(field,
                   absl::StrCat(what, " made of token ids, and ", models.front()->name(), " and ", odd.name(),
                                " have different tokenizers: compare them on ABAB, NAMES or TEXT")),
      reason::kDifferentTokenizers, field);
}

// Whether a word is one token with its leading space.
absl::StatusOr<bool> IsOneToken(const checkpoint::Tokenizer& tokenizer, const std::string& word) {
  INDUCT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(absl::StrCat(" ", word)));
  return ids.size() == 1;
}

// A task's words that are not one token.
absl::StatusOr<std::set<std::string>> LackingWords(const checkpoint::Tokenizer& tokenizer,
                                                   const std::string& task) {
  std::set<std::string> lacking;
  for (const std::string& word : analysis::TaskWords(task)) {
    INDUCT_ASSIGN_OR_RETURN(const bool is_one, IsOneToken(tokenizer, word));
    if (!is_one) lacking.insert(word);
  }
  return lacking;
}

// A task's words that are one token in every tokenizer, and what each tokenizer lacks.
struct SharedWords {
  std::vector<std::string> words;
  std::vector<std::string> lacks;  // a sentence for each tokenizer that lacks some
};

absl::StatusOr<SharedWords> SingleTokenWords(const ModelFilesList& models, const std::string& task) {
  SharedWords shared{.words = analysis::TaskWords(task)};
  const size_t n_candidates = shared.words.size();
  for (const auto& files : models) {
    INDUCT_ASSIGN_OR_RETURN(const std::set<std::string> lacking, LackingWords(*files->tokenizer(), task));
    std::erase_if(shared.words, [&](const std::string& word) { return lacking.contains(word); });
    if (lacking.empty()) continue;
    shared.lacks.push_back(absl::StrCat("the tokenizer of ", files->name(), " lacks ", lacking.size(),
                                        " of the ", n_candidates, " words of ", task));
  }
  return shared;
}

// Ids for RANDOM: ordinary ones that every model's embedding has a row for (vocabularies and embeddings may
// differ in size). Those of the words that the job's other tasks use are left out, so that a RANDOM row is
// never a letter or name row again. REQUIRES: one tokenizer.
absl::StatusOr<std::vector<int32_t>> RandomIds(const ModelFilesList& models,
                                               const std::vector<std::string>& words) {
  const checkpoint::Tokenizer& tokenizer = *models.front()->tokenizer();
  std::set<int32_t> taken;
  for (const std::string& word : words) {
    INDUCT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(absl::StrCat(" ", word)));
    taken.insert(ids.begin(), ids.end());
  }
  int64_t vocab_size = INT64_MAX;
  for (const auto& files : models) vocab_size = std::min(vocab_size, files->spec().vocab_size);
  std::vector<int32_t> ids = tokenizer.ordinary_ids();
  std::erase_if(ids, [&](int32_t id) { return id >= vocab_size || taken.contains(id); });
  return ids;
}

bool Asks(const PromptRequest& request, const std::string& task) {
  return std::find(request.task_types.begin(), request.task_types.end(), task) != request.task_types.end();
}

// What the tokenizers offer the tasks that are asked for.
struct Offer {
  analysis::Vocabulary vocabulary;
  std::map<std::string, std::vector<std::string>> lacks;  // by task
};

absl::StatusOr<Offer> OfferFor(const PromptRequest& request, const ModelFilesList& models) {
  Offer offer;
  std::vector<std::string> used;
  for (const auto& [task, words] :
       {std::pair{"ABAB", &offer.vocabulary.letters}, std::pair{"NAMES", &offer.vocabulary.names}}) {
    if (!Asks(request, task)) continue;
    INDUCT_ASSIGN_OR_RETURN(SharedWords shared, SingleTokenWords(models, task));
    *words = std::move(shared.words);
    used.insert(used.end(), words->begin(), words->end());
    offer.lacks[task] = std::move(shared.lacks);
  }
  if (!Asks(request, "RANDOM")) return offer;
  if (const models::ModelFiles* odd = OddTokenizer(models)) {
    return DifferentTokenizers("prompts.task_types", "RANDOM prompts are", models, *odd);
  }
  INDUCT_ASSIGN_OR_RETURN(offer.vocabulary.ordinary_ids, RandomIds(models, used));
  return offer;
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

absl::StatusOr<analysis::GeneratedPrompts> Generate(const PromptRequest& request,
                                                    const ModelFilesList& models) {
  uint32_t n_bos = 0;  // of the model that has most: texts are the same for all
  for (const auto& files : models) {
    INDUCT_RETURN_IF_ERROR(CheckSeqLen(request, files->spec()));
    INDUCT_RETURN_IF_ERROR(
        NeedTokenizer(*files, absl::StrCat("the task ", absl::StrJoin(request.task_types, ", "))).status());
    n_bos = std::max(n_bos, BosCount(request, *files));
  }
  INDUCT_ASSIGN_OR_RETURN(const Offer offer, OfferFor(request, models));
  const analysis::PromptOptions options{.task_types = request.task_types,
                                        .lag_values = request.lag_values,
                                        .n_sequences = request.n_sequences,
                                        .uniform_mix = request.uniform_mix,
                                        .n_repeats = request.n_repeats,
                                        .seq_len = request.seq_len,
                                        .n_bos = n_bos,
                                        .seed = request.seed};
  auto generated = analysis::GeneratePrompts(options, offer.vocabulary);
  if (ReasonOf(generated.status()) != reason::kNotEnoughWords) return generated;
  const auto lacks = offer.lacks.find(*analysis::TaskShortOfWords(options, offer.vocabulary));
  if (lacks == offer.lacks.end() || lacks->second.empty()) return generated;
  return Annotate(generated.status(), absl::StrJoin(lacks->second, "; "));
}

absl::StatusOr<std::vector<analysis::Prompt>> Tokenise(const PromptRequest& request,
                                                       const analysis::GeneratedPrompts& generated,
                                                       const models::ModelFiles& files,
                                                       const std::stop_token& stop) {
  std::vector<analysis::Prompt> prompts;
  const uint32_t n_bos = BosCount(request, files);
  for (const analysis::GeneratedPrompt& made : generated.prompts) {
    if (stop.stop_requested()) return Stopped("while the prompts were made");
    std::vector<int32_t> tokens = made.ids;
    if (!made.text.empty()) {
      INDUCT_ASSIGN_OR_RETURN(tokens, files.tokenizer()->Encode(made.text));
    }
    prompts.push_back({.task = made.task,
                       .lag = made.lag,
                       .text = made.text,
                       .tokens = WithBos(std::move(tokens), n_bos, files.bos_token_id()),
                       .n_bos = n_bos});
  }
  return prompts;
}

absl::StatusOr<std::vector<PromptSet>> GeneratedSets(const PromptRequest& request,
                                                     const ModelFilesList& models,
                                                     const std::stop_token& stop) {
  INDUCT_ASSIGN_OR_RETURN(analysis::GeneratedPrompts generated, Generate(request, models));
  std::vector<PromptSet> sets(models.size());
  sets.front().warnings = std::move(generated.warnings);
  WarnAboutShortLags(request, &sets.front().warnings);
  for (size_t i = 0; i < models.size(); ++i) {
    INDUCT_ASSIGN_OR_RETURN(sets[i].prompts, Tokenise(request, generated, *models[i], stop));
  }
  return sets;
}

// The path of a given prompt in the request: "given_prompts[3]".
std::string PromptField(const PromptRequest& request, size_t number) {
  return absl::StrCat(request.given_field, "[", number, "]");
}

// Tokenises given prompts one by one and remembers what has to be said about all of them.
class GivenPromptReader {
 public:
  // `by_text`: a prompt's text counts, and not its ids.
  GivenPromptReader(const PromptRequest& request, const models::ModelFiles& files, bool by_text)
      : request_(request), files_(files), by_text_(by_text) {}

  absl::StatusOr<PromptSet> ReadAll(const std::stop_token& stop) {
    PromptSet set;
    for (size_t i = 0; i < request_.given.size(); ++i) {
      if (stop.stop_requested()) return Stopped("while the prompts were made");
      number_ = i;
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
    const bool by_ids = !given.token_ids.empty() && !(by_text_ && given.text);
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
                                  " is outside the vocabulary; ids are 0 to ", spec.vocab_size - 1),
                     absl::StrCat(".token_ids[", t, "]"));
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
    if (!ids.ok()) {
      return WithReason(Annotate(ids.status(), absl::StrCat("prompt ", number_)), ReasonOf(ids.status()),
                        PromptField(request_, number_));
    }
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

  // `member`: the part of the prompt's field that is at fault.
  absl::Status Fault(const char* reason, const std::string& what, const std::string& member = "") const {
    const std::string field = absl::StrCat(PromptField(request_, number_), member);
    return WithReason(InvalidField(field, absl::StrCat("prompt ", number_, ": ", what)), reason, field);
  }

  absl::Status MixedBos() const {
    return Fault(reason::kInvalidField,
                 "it begins with another number of BOS tokens than the prompts before; token rows are used "
                 "as they are, so give texts beside "
                 "them with prepend_bos false, or n_bos with the rows");
  }

  const PromptRequest& request_;
  const models::ModelFiles& files_;
  const bool by_text_;
  size_t number_ = 0;  // of the prompt that is read, from 0
  size_t cut_ = 0;
};

absl::StatusOr<std::vector<PromptSet>> GivenSets(const PromptRequest& request, const ModelFilesList& models,
                                                 const std::stop_token& stop) {
  const models::ModelFiles* odd = OddTokenizer(models);
  for (size_t i = 0; odd != nullptr && i < request.given.size(); ++i) {
    if (request.given[i].text) continue;
    return DifferentTokenizers(PromptField(request, i), absl::StrCat("prompt ", i, " is"), models, *odd);
  }
  std::vector<PromptSet> sets;
  for (const auto& files : models) {
    INDUCT_ASSIGN_OR_RETURN(PromptSet set,
                            GivenPromptReader(request, *files, /*by_text=*/odd != nullptr).ReadAll(stop));
    for (std::string& warning : set.warnings) {
      if (models.size() > 1) warning = absl::StrCat(files->name(), ": ", warning);
    }
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace

absl::StatusOr<std::vector<PromptSet>> MakeSharedPrompts(const PromptRequest& request,
                                                         const ModelFilesList& models, std::stop_token stop) {
  return request.given.empty() ? GeneratedSets(request, models, stop) : GivenSets(request, models, stop);
}

absl::StatusOr<PromptSet> MakePrompts(const PromptRequest& request,
                                      const std::shared_ptr<const models::ModelFiles>& files,
                                      std::stop_token stop) {
  INDUCT_ASSIGN_OR_RETURN(std::vector<PromptSet> sets, MakeSharedPrompts(request, {files}, stop));
  return std::move(sets.front());
}

absl::StatusOr<WordCounts> CountWords(const checkpoint::Tokenizer& tokenizer) {
  WordCounts counts;
  for (const auto& [task, count] : {std::pair{"ABAB", &counts.letters}, {"NAMES", &counts.names}}) {
    INDUCT_ASSIGN_OR_RETURN(const std::set<std::string> lacking, LackingWords(tokenizer, task));
    *count = static_cast<uint32_t>(analysis::TaskWords(task).size() - lacking.size());
  }
  return counts;
}

}  // namespace induct::runs
