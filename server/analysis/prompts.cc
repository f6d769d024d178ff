#include "server/analysis/prompts.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

constexpr char kRandomTask[] = "RANDOM";

// The words of ABAB or NAMES that the vocabulary offers.
const std::vector<std::string>& WordsOf(std::string_view task, const Vocabulary& vocabulary) {
  return task == "ABAB" ? vocabulary.letters : vocabulary.names;
}

size_t CountWords(std::string_view task, const Vocabulary& vocabulary) {
  return task == kRandomTask ? vocabulary.ordinary_ids.size() : WordsOf(task, vocabulary).size();
}

template <typename T>
bool HasDuplicates(const std::vector<T>& values) {
  return std::set<T>(values.begin(), values.end()).size() < values.size();
}

absl::Status CheckTasks(const PromptOptions& options) {
  if (options.task_types.empty())
    return InvalidField("prompts.task_types", "no task is named; name ABAB, NAMES or RANDOM");
  for (const std::string& task : options.task_types) {
    if (task != kRandomTask && TaskWords(task).empty()) {
      return InvalidField("prompts.task_types",
                          absl::StrCat("\"", task, "\" is not one of ABAB, NAMES, RANDOM"));
    }
  }
  if (HasDuplicates(options.task_types)) {
    return InvalidField("prompts.task_types",
                        absl::StrCat("a task is named twice: ", absl::StrJoin(options.task_types, ", ")));
  }
  return absl::OkStatus();
}

absl::Status CheckLags(const PromptOptions& options) {
  if (options.lag_values.empty())
    return InvalidField("prompts.lag_values", "no lag is given; give at least one");
  if (HasDuplicates(options.lag_values)) {
    return InvalidField("prompts.lag_values",
                        absl::StrCat("a lag is given twice: ", absl::StrJoin(options.lag_values, ", ")));
  }
  const uint32_t longest = options.seq_len > options.n_bos ? (options.seq_len - options.n_bos) / 2 : 0;
  for (const uint32_t lag : options.lag_values) {
    if (lag < 1 || lag > longest) {
      return InvalidField(
          "prompts.lag_values",
          absl::StrCat("lag ", lag, " is outside 1 .. ", longest, ": a block must fit twice into seq_len ",
                       options.seq_len, options.n_bos > 0 ? " with its BOS" : "",
                       "; give smaller lags or a larger seq_len"));
    }
  }
  return absl::OkStatus();
}

uint32_t LongestLag(const PromptOptions& options) {
  return *std::max_element(options.lag_values.begin(), options.lag_values.end());
}

absl::Status CheckWords(const PromptOptions& options, const Vocabulary& vocabulary) {
  const std::optional<std::string> task = TaskShortOfWords(options, vocabulary);
  if (!task) return absl::OkStatus();
  const uint32_t lag = LongestLag(options);
  return WithReason(absl::InvalidArgumentError(absl::StrCat(
                        "lag ", lag, " needs ", lag, " different words, but the task ", *task, " has ",
                        CountWords(*task, vocabulary),
                        " that are one token in every tokenizer; give smaller lags or leave the task out")),
                    reason::kNotEnoughWords, "prompts.lag_values");
}

absl::Status CheckOptions(const PromptOptions& options, const Vocabulary& vocabulary) {
  if (options.n_sequences == 0)
    return InvalidField("prompts.n_sequences", "0 prompts are asked for; ask for at least 1");
  if (options.n_repeats == 1) {
    return InvalidField("prompts.n_repeats", "1 repeats nothing; give 2 or more, or 0 to fill seq_len");
  }
  INDUCT_RETURN_IF_ERROR(CheckTasks(options));
  INDUCT_RETURN_IF_ERROR(CheckLags(options));
  return CheckWords(options, vocabulary);
}

// How many blocks of `lag` different words there are: n_words! / (n_words - lag)!, at most what 64 bits hold.
uint64_t CountBlocks(uint64_t n_words, uint32_t lag) {
  uint64_t n = 1;
  for (uint64_t factor = n_words; factor > n_words - lag; --factor) {
    if (n > std::numeric_limits<uint64_t>::max() / factor) return std::numeric_limits<uint64_t>::max();
    n *= factor;
  }
  return n;
}

// Draws the prompts of one (task, lag), none twice.
class PromptCell {
 public:
  PromptCell(const PromptOptions& options, const Vocabulary& vocabulary, const std::string& task,
             uint32_t lag)
      : vocabulary_(vocabulary),
        task_(task),
        lag_(lag),
        length_(RowLength(options, lag)),
        random_(options.seed, absl::StrCat("prompts/", task, "/", lag)),
        order_(CountWords(task, vocabulary)),
        n_blocks_(CountBlocks(order_.size(), lag)) {
    std::iota(order_.begin(), order_.end(), 0u);
  }

  // Adds one more prompt to `prompts`, or counts it as left out.
  void Deal(std::vector<GeneratedPrompt>& prompts) {
    ++n_asked_;
    if (seen_.size() < n_blocks_) prompts.push_back(MakePrompt(DrawBlock()));
  }

  // Empty where every prompt asked for was made.
  std::string Warning() const {
    if (seen_.size() == n_asked_) return "";
    return absl::StrCat(task_, ", lag ", lag_, ": ", n_asked_, " prompts were asked for, but only ",
                        seen_.size(), " different ones exist; the rest is left out");
  }

 private:
  static size_t RowLength(const PromptOptions& options, uint32_t lag) {
    const uint64_t room = options.seq_len - options.n_bos;
    return options.n_repeats == 0 ? room : std::min(room, uint64_t{lag} * options.n_repeats);
  }

  // A block of word numbers that was not drawn before. Ends quickly: at least one of n_blocks_ is left, and
  // where few are, n_blocks_ itself is no larger than the number of prompts.
  const std::vector<uint32_t>& DrawBlock() {
    for (;;) {
      // The first steps of a Fisher-Yates shuffle; it may start from any order, so the last block's is kept.
      for (uint32_t i = 0; i < lag_; ++i) std::swap(order_[i], order_[i + random_.Below(order_.size() - i)]);
      const auto [block, is_new] = seen_.emplace(order_.begin(), order_.begin() + lag_);
      if (is_new) return *block;
    }
  }

  GeneratedPrompt MakePrompt(const std::vector<uint32_t>& block) const {
    GeneratedPrompt prompt{.task = task_, .lag = lag_};
    for (size_t i = 0; i < length_; ++i) {
      const uint32_t word = block[i % lag_];
      if (task_ == kRandomTask) {
        prompt.ids.push_back(vocabulary_.ordinary_ids[word]);
      } else {
        absl::StrAppend(&prompt.text, " ", WordsOf(task_, vocabulary_)[word]);
      }
    }
    return prompt;
  }

  const Vocabulary& vocabulary_;
  const std::string task_;
  const uint32_t lag_;
  const size_t length_;  // words of a row
  Random random_;
  std::vector<uint32_t> order_;  // a permutation of the word numbers
  const uint64_t n_blocks_;
  std::set<std::vector<uint32_t>> seen_;  // every prompt made has its block here
  uint64_t n_asked_ = 0;
};

}  // namespace

std::optional<std::string> TaskShortOfWords(const PromptOptions& options, const Vocabulary& vocabulary) {
  for (const std::string& task : options.task_types) {
    if (CountWords(task, vocabulary) < LongestLag(options)) return task;
  }
  return std::nullopt;
}

absl::StatusOr<GeneratedPrompts> GeneratePrompts(const PromptOptions& options, const Vocabulary& vocabulary) {
  INDUCT_RETURN_IF_ERROR(CheckOptions(options, vocabulary));
  const size_t n_tasks = options.task_types.size(), n_lags = options.lag_values.size();
  std::vector<PromptCell> cells;  // [n_tasks, n_lags]
  std::vector<Random> mixes;      // [n_tasks]
  for (const std::string& task : options.task_types) {
    for (const uint32_t lag : options.lag_values) cells.emplace_back(options, vocabulary, task, lag);
    mixes.emplace_back(options.seed, absl::StrCat("prompts/", task, "/mix"));
  }

  GeneratedPrompts result;
  result.prompts.reserve(options.n_sequences);
  for (size_t i = 0; i < options.n_sequences; ++i) {
    const size_t task = i % n_tasks;
    const size_t lag = options.uniform_mix ? mixes[task].Below(n_lags) : i / n_tasks % n_lags;
    cells[task * n_lags + lag].Deal(result.prompts);
  }
  for (const PromptCell& cell : cells) {
    if (std::string warning = cell.Warning(); !warning.empty()) result.warnings.push_back(std::move(warning));
  }
  return result;
}

}  // namespace induct::analysis
