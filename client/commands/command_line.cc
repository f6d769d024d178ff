#include "client/commands/command_line.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "client/kinds.h"
#include "client/rpc_error.h"
#include "common/status.h"

namespace induct::client {
namespace {

std::string GroupTitle(const SettingKey& key) {
  if (key.owner == SettingOwner::kClient) return "Output and server";
  const std::string path(key.path);
  const size_t dot = path.find('.');
  if (dot == std::string::npos) return "What is computed (settings.yaml)";
  return absl::StrCat("Settings of ", path.substr(0, dot));
}

std::string ValueName(const SettingKey& key) {
  switch (key.type) {
    case SettingType::kFlag:
      return "[true|false]";
    case SettingType::kInteger:
      return "N";
    case SettingType::kReal:
      return "X";
    case SettingType::kIntegers:
      return "N,N,...";
    case SettingType::kWord:
      return "WORD";
    case SettingType::kWords:
      return "WORD,WORD,...";
    case SettingType::kText:
    case SettingType::kTexts:
      return "TEXT";
  }
  return "TEXT";
}

std::string RangeText(const SettingKey& key) {
  if (!key.choices.empty()) return absl::StrReplaceAll(std::string(key.choices), {{"|", ", "}});
  if (key.max == 0) return "";
  const std::string max =
      key.max > 1e15 ? "2^64 - 1"
                     : absl::StrCat(key.max_excluded ? "below " : "", absl::StrFormat("%.15g", key.max));
  return absl::StrCat(absl::StrFormat("%.15g", key.min), " to ", max,
                      key.zero_word.empty() ? "" : absl::StrCat(", or ", std::string(key.zero_word)));
}

std::string HelpText(const SettingKey& key) {
  const std::string range = RangeText(key);
  const std::string standard =
      key.default_value.empty() ? "" : absl::StrCat("default ", std::string(key.default_value));
  const char* separator = !range.empty() && !standard.empty() ? "; " : "";
  const std::string both = absl::StrCat(range, separator, standard);
  return absl::StrCat(std::string(key.help), both.empty() ? "" : absl::StrCat(" [", both, "]"));
}

}  // namespace

void AddSettingFlags(CLI::App* command, SettingOwner owner, FlagTexts* texts) {
  for (const SettingKey& key : SettingKeys()) {
    if (key.owner != owner || !HasEffectOn(key, command->get_name())) continue;
    const std::string alias = key.alias.empty() ? "" : absl::StrCat(",--", std::string(key.alias));
    command->add_option(absl::StrCat("--", SettingFlag(key), alias), (*texts)[&key], HelpText(key))
        ->type_name(ValueName(key))
        ->group(GroupTitle(key))
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

absl::StatusOr<Settings> SettingsFromFlags(const CLI::App& command, const FlagTexts& texts) {
  Settings settings;
  for (const auto& [key, text] : texts) {
    if (command.count(absl::StrCat("--", SettingFlag(*key))) == 0) continue;
    if (const absl::Status status = settings.SetText(*key, text); !status.ok()) {
      return absl::InvalidArgumentError(DescribeField(std::string(key->path), std::string(status.message())));
    }
  }
  return settings;
}

std::vector<std::string> NormalizeArguments(std::vector<std::string> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string& argument = arguments[i];
    if (argument == "--") break;
    if (!absl::StartsWith(argument, "--")) continue;
    const size_t name_end = std::min(argument.find('='), argument.size());
    std::replace(argument.begin() + 2, argument.begin() + static_cast<std::ptrdiff_t>(name_end), '-', '_');
    const SettingKey* key = FindSettingFlag(argument.substr(2));
    const bool alone = i + 1 == arguments.size() || absl::StartsWith(arguments[i + 1], "-");
    if (key != nullptr && key->type == SettingType::kFlag && alone) argument += "=true";
  }
  return arguments;
}

namespace {

// Further models after the only one that --model takes; empty where `unknown` is something else.
std::string SecondModel(const CLI::App& command, const std::vector<std::string>& unknown) {
  const CLI::Option* model = command.get_option_no_throw("--model");
  const auto is_flag = [](const std::string& argument) { return absl::StartsWith(argument, "-"); };
  if (model == nullptr || model->count() != 1 || unknown.empty()) return "";
  if (std::any_of(unknown.begin(), unknown.end(), is_flag)) return "";
  return absl::StrCat("--model takes one model, and ", absl::StrJoin(unknown, " "),
                      " is left over; to compare models: crosssize --models ", model->as<std::string>(), " ",
                      absl::StrJoin(unknown, " "));
}

}  // namespace

std::string DescribeUnknown(const CLI::App& command, const std::vector<std::string>& unknown) {
  const std::string given = unknown.empty() ? "" : unknown.front().substr(0, unknown.front().find('='));
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back(absl::StrCat("--", name));
  }
  for (const CLI::App* subcommand : command.get_subcommands({})) known.push_back(subcommand->get_name());
  const std::string nearest = NearestWord(given, known);
  if (const std::string second = SecondModel(command, unknown); nearest.empty() && !second.empty())
    return second;
  return absl::StrCat("there is no ", given,
                      nearest.empty() ? absl::StrCat("; see ", command.get_name(), " --help")
                                      : absl::StrCat("; did you mean ", nearest, "?"));
}

}  // namespace induct::client
