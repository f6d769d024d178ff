#include "common/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status.h"

namespace induct {
namespace {

using enum SettingType;
using enum SettingOwner;

constexpr double kMaxSeed = 18446744073709551615.0;

constexpr auto kKeys = std::to_array<SettingKey>({
    {.path = "models",
     .type = kTexts,
     .owner = kServer,
     .default_value = "",
     .help = "Models that the server loads when it starts"},
    {.path = "model_dirs",
     .type = kTexts,
     .owner = kServer,
     .default_value = "deploy/demo_models",
     .help = "Folders whose subfolders are models in the Hugging Face layout"},
    {.path = "listen",
     .type = kText,
     .owner = kServer,
     .default_value = "127.0.0.1:50051",
     .help = "host:port, unix:/path or fd:N (an open socket)"},
    {.path = "device",
     .type = kTexts,
     .owner = kServer,
     .default_value = "auto",
     .help = "auto, cpu, cuda, cuda:N, or a list of them"},
    {.path = "threads",
     .type = kInteger,
     .owner = kServer,
     .default_value = "0",
     .min = 0,
     .max = 1024,
     .zero_word = "auto",
     .help = "Threads of one operation on a CPU; auto: the cores that the process may use"},
    {.path = "dtypes",
     .type = kWords,
     .owner = kServer,
     .default_value = "float32,bfloat16,float16",
     .choices = "float32|bfloat16|float16",
     .help = "Dtypes that requests may ask for"},
    {.path = "activation_budget_mb",
     .type = kInteger,
     .owner = kServer,
     .default_value = "4096",
     .min = 1,
     .max = 1 << 24,
     .help = "Megabytes that the prompts' residual streams may take; more prompts go in waves"},
    {.path = "disconnect_grace",
     .type = kReal,
     .owner = kServer,
     .default_value = "60",
     .min = 0,
     .max = 86400,
     .help = "Seconds without any open stream after which a job with on_disconnect cancel ends"},
    {.path = "drain_seconds",
     .type = kReal,
     .owner = kServer,
     .default_value = "10",
     .min = 0,
     .max = 86400,
     .help = "Seconds that running jobs get to end after SIGTERM"},
    {.path = "heartbeat_seconds",
     .type = kReal,
     .owner = kServer,
     .default_value = "10",
     .min = 0.05,
     .max = 3600,
     .help = "Seconds of silence after which a stream sends a heartbeat"},
    {.path = "preparing_threads",
     .type = kInteger,
     .owner = kServer,
     .default_value = "2",
     .min = 1,
     .max = 64,
     .help = "Jobs that may be prepared (read, tokenised, loaded) at once"},
    {.path = "log_level",
     .type = kWord,
     .owner = kServer,
     .default_value = "info",
     .choices = "debug|info|warning|error",
     .help = "Least severe lines that are logged"},
    {.path = "limits.max_prompts",
     .type = kInteger,
     .owner = kServer,
     .default_value = "100000",
     .min = 1,
     .max = 100000,
     .help = "Prompts in one request, generated or given"},
    {.path = "limits.max_request_mb",
     .type = kInteger,
     .owner = kServer,
     .default_value = "64",
     .min = 1,
     .max = 1024,
     .help = "Megabytes of one request"},
    {.path = "limits.max_queued",
     .type = kInteger,
     .owner = kServer,
     .default_value = "1000",
     .min = 1,
     .max = 1e6,
     .help = "Jobs that may wait, all owners together"},
    {.path = "limits.max_queued_per_owner",
     .type = kInteger,
     .owner = kServer,
     .default_value = "500",
     .min = 1,
     .max = 1e6,
     .help = "Jobs of one owner that may wait"},
    {.path = "limits.max_queued_mb",
     .type = kInteger,
     .owner = kServer,
     .default_value = "4096",
     .min = 1,
     .max = 1 << 24,
     .help = "Megabytes that the requests of jobs that have not ended may take"},
    {.path = "limits.kept_jobs",
     .type = kInteger,
     .owner = kServer,
     .default_value = "1000",
     .min = 1,
     .max = 1e6,
     .help = "Ended jobs that are remembered; older ones are forgotten with their artifacts"},
    {.path = "limits.kept_mb",
     .type = kInteger,
     .owner = kServer,
     .default_value = "2048",
     .min = 1,
     .max = 1 << 24,
     .help = "Megabytes of events and artifacts of ended jobs that are remembered"},

    {.path = "dtype",
     .type = kWord,
     .owner = kRequest,
     .default_value = "auto",
     .choices = "auto|float32|bfloat16|float16",
     .help = "What the model computes in; auto: float16 on a GPU, float32 on a CPU"},
    {.path = "seq_len",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "256",
     .min = 4,
     .max = 1 << 20,
     .help = "Longest generated prompt in tokens; longer TEXT is cut"},
    {.path = "batch_size",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "auto",
     .min = 1,
     .max = 4096,
     .zero_word = "auto",
     .help = "Prompts in a micro-batch; never changes results beyond rounding"},
    {.path = "seed",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "123",
     .min = 0,
     .max = kMaxSeed,
     .help = "Seed of every random draw, 64 bits"},
    {.path = "memory_saver",
     .type = kFlag,
     .owner = kRequest,
     .default_value = "false",
     .help = "Hold one layer's weights at a time"},
    {.path = "score",
     .type = kWord,
     .owner = kRequest,
     .default_value = "induction",
     .choices = "induction|duplicate|previous",
     .help = "Score kind of the curve"},
    {.path = "antecedents",
     .type = kWord,
     .owner = kRequest,
     .default_value = "first",
     .choices = "first|nearest|all",
     .help = "Earlier occurrences of a token that count"},
    {.path = "min_lag",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "3",
     .min = 1,
     .max = 65536,
     .help = "Smallest lag in tokens that counts as a copy operation"},
    {.path = "aggregation",
     .type = kWord,
     .owner = kRequest,
     .default_value = "topq",
     .choices = "topq|mean",
     .help = "A layer's value: mean of its highest heads, or of all",
     .commands = "profile|crosssize|multisize|nulls|lagbuckets|run"},

    {.path = "prompts.n_sequences",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "400",
     .min = 1,
     .max = 100000,
     .help = "Prompts to generate"},
    {.path = "prompts.lag_values",
     .type = kIntegers,
     .owner = kRequest,
     .default_value = "4,8,16,32",
     .min = 1,
     .max = 1 << 19,
     .help = "Block lengths in tokens, each at most half of what seq_len leaves beside the BOS"},
    {.path = "prompts.mix",
     .type = kWord,
     .owner = kRequest,
     .default_value = "balanced",
     .choices = "balanced|uniform",
     .help = "Lags dealt evenly, or drawn by each prompt"},
    {.path = "prompts.task_types",
     .type = kWords,
     .owner = kRequest,
     .default_value = "ABAB,NAMES",
     .choices = "ABAB|NAMES|RANDOM|TEXT|TOKENS",
     .help = "Prompt tasks; TEXT and TOKENS stand for prompts given by --prompts or --tokens"},
    {.path = "prompts.n_repeats",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "2",
     .min = 2,
     .max = 65536,
     .zero_word = "fill",
     .help = "How often a block stands in a prompt; 0 or fill: as often as seq_len holds"},
    {.path = "prompts.prepend_bos",
     .type = kFlag,
     .owner = kRequest,
     .default_value = "true",
     .help = "Begin prompts with the BOS token where there is one"},

    {.path = "evaluation.high_score_quantile",
     .type = kReal,
     .owner = kRequest,
     .default_value = "0.9",
     .min = 0,
     .max = 1,
     .help = "q of the aggregation topq, in [0, 1)",
     .max_excluded = true,
     .commands = "profile|crosssize|multisize|nulls|lagbuckets|run"},
    {.path = "evaluation.bootstrap_resamples",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "1000",
     .min = 20,
     .max = 100000,
     .zero_word = "none",
     .help = "Bootstrap resamples; 0 or none: no intervals",
     .commands = "profile|crosssize|multisize|nulls|causal|lagbuckets|run"},

    {.path = "evaluation.shuffle_null",
     .type = kFlag,
     .owner = kRequest,
     .default_value = "true",
     .help = "Compute the shuffled-antecedent nulls",
     .commands = "nulls|run"},
    {.path = "evaluation.head_permutation_null",
     .type = kFlag,
     .owner = kRequest,
     .default_value = "true",
     .help = "Compute the head permutation",
     .commands = "nulls|run"},
    {.path = "evaluation.null_resamples",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "999",
     .min = 19,
     .max = 1000000,
     .help = "Sign flips over prompts of the shuffled-antecedent nulls",
     .commands = "nulls|run"},
    {.path = "evaluation.permutation_resamples",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "10000",
     .min = 19,
     .max = 1000000,
     .help = "Permutations of the heads",
     .commands = "nulls|run"},
    {.path = "evaluation.causal_top_k",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "3",
     .min = 1,
     .max = 4096,
     .help = "Heads to ablate",
     .commands = "causal|run",
     .alias = "topk"},
    {.path = "evaluation.causal_random_k",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "3",
     .min = 1,
     .max = 4096,
     .help = "Heads of each random draw",
     .commands = "causal|run",
     .alias = "randomk"},
    {.path = "evaluation.random_draws",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "20",
     .min = 1,
     .max = 10000,
     .help = "Draws of each control",
     .commands = "causal|run",
     .alias = "draws"},
    {.path = "evaluation.ablation",
     .type = kWord,
     .owner = kRequest,
     .default_value = "zero",
     .choices = "zero|mean",
     .help = "What takes the place of an ablated head's output",
     .commands = "causal|run"},
    {.path = "evaluation.lag_edges",
     .type = kIntegers,
     .owner = kRequest,
     .default_value = "8",
     .min = 1,
     .max = 65536,
     .help = "Largest lag of each bucket but the last, rising",
     .commands = "lagbuckets|run",
     .alias = "edges"},

    {.path = "job.priority",
     .type = kInteger,
     .owner = kRequest,
     .default_value = "0",
     .min = -100,
     .max = 100,
     .help = "Of your own jobs the higher one runs first"},
    {.path = "job.queue_deadline",
     .type = kReal,
     .owner = kRequest,
     .default_value = "0",
     .min = 0,
     .max = 1e9,
     .help = "Seconds after which a job that has not begun to run fails; 0: no limit"},
    {.path = "job.run_deadline",
     .type = kReal,
     .owner = kRequest,
     .default_value = "0",
     .min = 0,
     .max = 1e9,
     .help = "Seconds of running after which a job fails; 0: no limit"},
    {.path = "job.on_disconnect",
     .type = kWord,
     .owner = kRequest,
     .default_value = "cancel",
     .choices = "cancel|continue",
     .help = "What becomes of a job that nobody watches any more"},

    {.path = "server",
     .type = kText,
     .owner = kClient,
     .default_value = "",
     .help = "host:port of induct-server; empty: start one for this run alone"},
    {.path = "reconnect_seconds",
     .type = kReal,
     .owner = kClient,
     .default_value = "60",
     .min = 0,
     .max = 86400,
     .help = "Seconds that the client tries to reach a server again whose connection broke"},
    {.path = "output_dir",
     .type = kText,
     .owner = kClient,
     .default_value = "outputs",
     .help = "Folder that holds runs/"},
    {.path = "figs_dir",
     .type = kText,
     .owner = kClient,
     .default_value = "figs",
     .help = "Folder for the newest figure of each name"},
});

std::string Quoted(const std::string& value) { return absl::StrCat("\"", value, "\""); }

std::vector<std::string> Choices(const SettingKey& key) {
  return absl::StrSplit(absl::string_view(key.choices.data(), key.choices.size()), '|');
}

absl::Status Refuse(const SettingKey& key, const std::string& given, const std::string& allowed) {
  return InvalidField(
      key.path, absl::StrCat(given.empty() ? "nothing" : Quoted(given), " given, ", allowed, " needed"));
}

std::string NumberText(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return value == std::floor(value) && std::abs(value) < 1e15 ? absl::StrCat(static_cast<int64_t>(value))
                                                              : std::string(text.data(), end);
}

std::string RangeText(const SettingKey& key) {
  const std::string max = key.max == kMaxSeed ? "2^64 - 1" : NumberText(key.max);
  std::string text = absl::StrCat(key.type == kReal ? "a number" : "a whole number", " from ",
                                  NumberText(key.min), " to ", key.max_excluded ? "below " : "", max);
  if (!key.zero_word.empty()) absl::StrAppend(&text, ", or ", std::string(key.zero_word));
  return text;
}

absl::StatusOr<std::string> CheckInteger(const SettingKey& key, const std::string& value) {
  if (!key.zero_word.empty() && (value == key.zero_word || value == "0")) return "0";
  if (key.min < 0) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number) || number < key.min || number > key.max)
      return Refuse(key, value, RangeText(key));
    return absl::StrCat(number);
  }
  uint64_t number = 0;
  const bool parsed = !value.empty() && absl::ascii_isdigit(static_cast<unsigned char>(value[0])) &&
                      absl::SimpleAtoi(value, &number);
  const bool in_range = parsed && (key.max == kMaxSeed || static_cast<double>(number) <= key.max) &&
                        static_cast<double>(number) >= key.min;
  if (!in_range) return Refuse(key, value, RangeText(key));
  return absl::StrCat(number);
}

absl::StatusOr<std::string> CheckReal(const SettingKey& key, const std::string& value) {
  double number = 0;
  if (!absl::SimpleAtod(value, &number) || !std::isfinite(number) || number < key.min || number > key.max ||
      (key.max_excluded && number == key.max)) {
    return Refuse(key, value, RangeText(key));
  }
  return NumberText(number);
}

absl::StatusOr<std::string> CheckOne(const SettingKey& key, const std::string& value) {
  switch (key.type) {
    case kFlag:
      if (value == "true" || value == "false") return value;
      return Refuse(key, value, "true or false");
    case kInteger:
    case kIntegers:
      return CheckInteger(key, value);
    case kReal:
      return CheckReal(key, value);
    case kWord:
    case kWords: {
      const std::vector<std::string> choices = Choices(key);
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) return value;
      return Refuse(key, value, absl::StrCat("one of ", absl::StrJoin(choices, ", ")));
    }
    case kText:
    case kTexts:
      if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20; })) {
        return Refuse(key, "text with control characters", "plain text");
      }
      return value;
  }
  return absl::InternalError("a setting without a type");
}

bool IsList(SettingType type) { return type == kIntegers || type == kWords || type == kTexts; }

std::vector<std::string> SplitText(const SettingKey& key, std::string_view text) {
  const absl::string_view view(text.data(), text.size());
  if (!IsList(key.type)) return {std::string(absl::StripAsciiWhitespace(view))};
  std::vector<std::string> values;
  for (absl::string_view part : absl::StrSplit(view, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (!part.empty()) values.emplace_back(part);
  }
  return values;
}

}  // namespace

std::span<const SettingKey> SettingKeys() { return kKeys; }

const SettingKey* FindSettingKey(std::string_view path) {
  const auto it =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const SettingKey& key) { return key.path == path; });
  return it == kKeys.end() ? nullptr : &*it;
}

const SettingKey* FindSettingFlag(std::string_view flag) {
  const auto it = std::find_if(kKeys.begin(), kKeys.end(), [&](const SettingKey& key) {
    return SettingFlag(key) == flag || (!flag.empty() && key.alias == flag);
  });
  return it == kKeys.end() ? nullptr : &*it;
}

bool HasEffectOn(const SettingKey& key, std::string_view command) {
  std::string_view rest = key.commands;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('|'), rest.size());
    if (rest.substr(0, end) == command) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return key.commands.empty();
}

std::string SettingFlag(const SettingKey& key) {
  return std::string(key.path.substr(key.path.rfind('.') + 1));
}

std::string SettingEnvironment(const SettingKey& key) {
  std::string name =
      absl::StrCat("INDUCT_", absl::AsciiStrToUpper(absl::string_view(key.path.data(), key.path.size())));
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

absl::StatusOr<std::vector<std::string>> CheckSetting(const SettingKey& key,
                                                      const std::vector<std::string>& values) {
  if (!IsList(key.type) && values.size() != 1) return Refuse(key, absl::StrJoin(values, ", "), "one value");
  if ((key.type == kIntegers || key.type == kWords) && values.empty())
    return Refuse(key, "", "at least one value");
  std::vector<std::string> checked;
  std::set<std::string> seen;
  for (const std::string& value : values) {
    INDUCT_ASSIGN_OR_RETURN(std::string one, CheckOne(key, value));
    if (!seen.insert(one).second) return InvalidField(key.path, absl::StrCat(Quoted(one), " is given twice"));
    checked.push_back(std::move(one));
  }
  return checked;
}

absl::Status Settings::SetText(const SettingKey& key, std::string_view text) {
  return Set(key, SplitText(key, text));
}

absl::Status Settings::Set(const SettingKey& key, const std::vector<std::string>& values) {
  INDUCT_ASSIGN_OR_RETURN(values_[std::string(key.path)], CheckSetting(key, values));
  return absl::OkStatus();
}

void Settings::Override(const Settings& other) {
  for (const auto& [path, values] : other.values_) values_[path] = values;
}

std::vector<std::string> Settings::Values(const SettingKey& key) const {
  if (const auto it = values_.find(key.path); it != values_.end()) return it->second;
  return CheckSetting(key, SplitText(key, key.default_value)).value();
}

bool Settings::Flag(std::string_view path) const { return Text(path) == "true"; }
uint64_t Settings::Integer(std::string_view path) const {
  return std::strtoull(Text(path).c_str(), nullptr, 10);
}
double Settings::Real(std::string_view path) const { return std::strtod(Text(path).c_str(), nullptr); }
std::string Settings::Text(std::string_view path) const { return Values(*FindSettingKey(path)).at(0); }

std::vector<uint64_t> Settings::Integers(std::string_view path) const {
  std::vector<uint64_t> numbers;
  for (const std::string& value : Texts(path)) numbers.push_back(std::strtoull(value.c_str(), nullptr, 10));
  return numbers;
}

std::vector<std::string> Settings::Texts(std::string_view path) const {
  return Values(*FindSettingKey(path));
}

absl::StatusOr<Settings> SettingsFromEnvironment() {
  Settings settings;
  for (const SettingKey& key : kKeys) {
    const std::string name = SettingEnvironment(key);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) continue;
    if (absl::Status status = settings.SetText(key, value); !status.ok()) {
      return Annotate(status, absl::StrCat("environment variable ", name));
    }
  }
  return settings;
}

std::string NearestWord(std::string_view word, std::span<const std::string> known, size_t most_edits) {
  const auto distance = [&](std::string_view other) {
    std::vector<size_t> row(other.size() + 1);
    for (size_t j = 0; j <= other.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t replaced = diagonal + (word[i - 1] != other[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
      }
    }
    return row[other.size()];
  };
  std::string best;
  size_t best_distance = std::min(std::max<size_t>(2, word.size() / 3), most_edits) + 1;
  for (const std::string& candidate : known) {
    if (const size_t d = distance(candidate); d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace induct
