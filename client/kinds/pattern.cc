#include "client/kinds/pattern.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/figures/pattern_map.h"
#include "client/heads.h"
#include "client/kinds/checks.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "common/file_names.h"
#include "common/status.h"
#include "induct/v1/pattern.pb.h"

namespace induct::client {
namespace {

using google::protobuf::Message;

constexpr int kAttentionsShown = 8;
constexpr size_t kPromptColumns = 70;

absl::Status ApplyHead(const std::vector<std::string>& values, v1::JobSpec* spec) {
  INDUCT_ASSIGN_OR_RETURN(*spec->mutable_pattern()->mutable_head(), ParseHead("--head", values.front()));
  return absl::OkStatus();
}

absl::Status ApplyPrompt(const std::vector<std::string>& values, v1::JobSpec* spec) {
  uint32_t prompt = 0;
  if (!absl::SimpleAtoi(values.front(), &prompt)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--prompt: \"", values.front(), "\" is no prompt's number; they count from 0"));
  }
  spec->mutable_pattern()->set_prompt(prompt);
  return absl::OkStatus();
}

std::vector<std::string> PatternFlags(const v1::JobSpec& spec, const std::string&) {
  return {absl::StrCat("--head ", HeadText(spec.pattern().head())),
          absl::StrCat("--prompt ", spec.pattern().prompt())};
}

absl::Status CheckPattern(const Message& result, ModelSize) {
  const auto& pattern = As<v1::AttentionPattern>(result);
  if (!pattern.has_head() || pattern.token_ids().empty())
    return absl::DataLossError("it has no head or tokens");
  if (!pattern.tokens().empty() && pattern.tokens_size() != pattern.token_ids_size())
    return absl::DataLossError("it has texts for some tokens only");
  for (const v1::PatternTarget& target : pattern.targets()) {
    if (target.key() > target.query() || target.query() >= static_cast<uint32_t>(pattern.token_ids_size()))
      return absl::DataLossError("a target lies outside the prompt");
  }
  return absl::OkStatus();
}

std::vector<ArrayFile> PatternArrays(const Message& result, const std::string& model, ModelSize) {
  const int64_t n_tokens = As<v1::AttentionPattern>(result).token_ids_size();
  return {{PatternArrayFile(model), {n_tokens, n_tokens}}};
}

// A token of the prompt with its position: "' Mary' at 12"; its id where there are no texts.
std::string PrintableToken(const v1::AttentionPattern& pattern, uint32_t position) {
  const int index = static_cast<int>(position);
  const std::string token = pattern.tokens().empty()
                                ? absl::StrCat("id ", pattern.token_ids(index))
                                : absl::StrCat("'", Printable(pattern.tokens(index)), "'");
  return absl::StrCat(token, " at ", position);
}

// One line's worth of the prompt.
std::string PromptText(const v1::AttentionPattern& pattern) {
  const std::string text = Printable(pattern.tokens().empty() ? absl::StrJoin(pattern.token_ids(), " ")
                                                              : absl::StrJoin(pattern.tokens(), ""));
  return DisplayWidth(text) <= kPromptColumns ? text
                                              : absl::StrCat(FirstColumns(text, kPromptColumns), "...");
}

// A cell of the pattern.
struct Attention {
  uint32_t query = 0, key = 0;
  float value = 0;
};

using ReadCells = std::set<std::pair<uint32_t, uint32_t>>;  // query and key

// The strongest attentions to others than the first tokens, which take what a head has no use for.
// Of equal ones those that the score reads come first.
std::vector<Attention> StrongestBeyond(uint32_t n_first, const FloatArray& attention, const ReadCells& read) {
  const auto n_tokens = static_cast<uint32_t>(attention.shape[0]);
  std::vector<Attention> cells;
  for (uint32_t query = 0; query < n_tokens; ++query) {
    for (uint32_t key = n_first; key <= query; ++key)
      cells.push_back({query, key, attention.values[size_t{query} * n_tokens + key]});
  }
  const auto end = cells.begin() + std::min<ptrdiff_t>(kAttentionsShown, std::ssize(cells));
  std::partial_sort(cells.begin(), end, cells.end(), [&](const Attention& a, const Attention& b) {
    const auto order = [&](const Attention& cell) {
      return std::tuple(-cell.value, !read.contains({cell.query, cell.key}), cell.query, cell.key);
    };
    return order(a) < order(b);
  });
  cells.erase(end, cells.end());
  return cells;
}

// Mean attention of the queries after the first tokens to these.
double MeanOnFirst(uint32_t n_first, const FloatArray& attention) {
  const auto n_tokens = static_cast<uint32_t>(attention.shape[0]);
  double sum = 0;
  for (uint32_t query = n_first; query < n_tokens; ++query) {
    for (uint32_t key = 0; key < n_first; ++key) sum += attention.values[size_t{query} * n_tokens + key];
  }
  return sum / (n_tokens - n_first);
}

std::string TargetsText(const v1::AttentionPattern& pattern, const FloatArray& attention) {
  if (pattern.targets().empty()) return "no copy operation in this prompt";
  double sum = 0;
  for (const v1::PatternTarget& target : pattern.targets())
    sum += attention.values[size_t{target.query()} * pattern.token_ids_size() + target.key()];
  return absl::StrFormat("%.3f on average, over %s (*)", sum / pattern.targets_size(),
                         Counted(pattern.targets_size(), "pair"));
}

std::string AttentionRows(const v1::AttentionPattern& pattern, const FloatArray& attention) {
  const uint32_t n_first = std::max(pattern.n_bos(), 1u);
  if (pattern.token_ids_size() <= static_cast<int>(n_first)) return "";
  ReadCells read;
  for (const v1::PatternTarget& target : pattern.targets()) read.emplace(target.query(), target.key());
  std::string text =
      Row("what the score reads", TargetsText(pattern, attention)) +
      Row("to the first token", absl::StrFormat("%.3f on average", MeanOnFirst(n_first, attention)));
  const char* label = "strongest beyond it";
  for (const Attention& cell : StrongestBeyond(n_first, attention, read)) {
    text += Row(std::exchange(label, ""),
                absl::StrFormat("%.3f  %s -> %s%s", cell.value, PrintableToken(pattern, cell.query),
                                PrintableToken(pattern, cell.key),
                                read.contains({cell.query, cell.key}) ? " *" : ""));
  }
  return text;
}

std::string PatternSummary(const ShownResult& of) {
  const v1::AttentionPattern& pattern = *of.model->Get<v1::AttentionPattern>();
  const FloatArray* attention = AttentionOf(*of.model);
  return absl::StrCat(Printable(of.model->label), ": attention pattern of layer ", pattern.head().layer(),
                      " head ", pattern.head().head(), " on prompt ", pattern.prompt(), ", ",
                      Counted(pattern.token_ids_size(), "token"), "\n", Row("tokens", PromptText(pattern)),
                      attention != nullptr ? AttentionRows(pattern, *attention) : "");
}

std::vector<Figure> PatternFigures(const ShownResult& of) {
  if (AttentionOf(*of.model) == nullptr) return {};
  return {PatternFigure(*of.model)};
}

}  // namespace

AnalysisKind PatternKind() {
  return {
      .field = v1::JobSpec::kPatternFieldNumber,
      .commands = {{.name = "pattern", .help = "One head's attention pattern on one prompt"}},
      .flags = {{.name = "--head",
                 .type_name = "LAYER.HEAD",
                 .help = "The head, both from 0",
                 .required = true,
                 .apply = ApplyHead},
                {.name = "--prompt",
                 .type_name = "N",
                 .help = "Which of the prompts, counted from 0: prompt N is line N+1 of what `profile "
                         "--print_prompts` prints for the same model and settings [default 0]",
                 .apply = ApplyPrompt}},
      .topics = {"scores"},
      .tells_layer_scores = false,
      .in_plan = false,
      .flags_to_repeat = PatternFlags,
      .result = {.name = PatternFile,
                 .prototype = &v1::AttentionPattern::default_instance(),
                 .check = CheckPattern,
                 .arrays = PatternArrays},
      .summary = PatternSummary,
      .figures = PatternFigures,
      .title = "Attention pattern",
      .question = "What does one head attend to?",
      .suggestion = "induct-client pattern --model NAME --head LAYER.HEAD: look at what a head attends to.",
      .findings = PatternFindings};
}

const FloatArray* AttentionOf(const SavedModel& model) {
  return model.results.Array(PatternArrayFile(model.use.name()));
}

}  // namespace induct::client
