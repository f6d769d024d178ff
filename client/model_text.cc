#include "client/model_text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/table.h"
#include "client/text.h"

namespace induct::client {
namespace {

constexpr uint32_t kLetters = 52;  // that ABAB draws from

// A number with three digits and the largest unit that it reaches; below all units as it is.
std::string InUnits(double number, const std::vector<std::pair<double, std::string>>& units) {
  for (const auto& [unit, name] : units) {
    if (number >= unit) return absl::StrFormat("%.3g%s", number / unit, name);
  }
  return absl::StrFormat("%.0f", number);
}

// The contract calls weights that jobs may use at once available; beside "unloaded" that reads as "could be
// loaded".
std::string ModelStateWord(const v1::Model& model) {
  if (model.state() == "remote")
    return absl::StrCat("at the hub, not downloaded yet: `induct-client models load ", model.name(),
                        "` does that, as does the first job that asks for it");
  return model.state() == "available" ? "loaded" : model.state();
}

// "just now", "5 min ago", "3 d ago"; empty where it was never used.
std::string LastUseText(const v1::Model& model, absl::Time now) {
  if (!model.has_last_use()) return "";
  const absl::Duration ago = now - absl::FromUnixSeconds(model.last_use().seconds());
  if (ago < absl::Minutes(1)) return "just now";
  if (ago < absl::Hours(1)) return absl::StrFormat("%d min ago", ago / absl::Minutes(1));
  if (ago < absl::Hours(48)) return absl::StrFormat("%d h ago", ago / absl::Hours(1));
  return absl::StrFormat("%d d ago", ago / absl::Hours(24));
}

std::vector<std::string> ListedRow(const v1::Model& model, absl::Time now) {
  if (!model.problem().empty()) return {model.name(), "unusable", "", "", "", "", ""};
  return {model.name(),
          ModelStateWord(model),
          absl::StrCat(model.n_layers(), " x ", model.n_heads()),
          CountText(model.n_parameters()),
          model.stored_dtype(),
          BytesText(model.stored_bytes()),
          LastUseText(model, now)};
}

std::string HeadCountText(const v1::Model& model) {
  const bool shared = model.n_kv_heads() > 0 && model.n_kv_heads() < model.n_heads();
  return absl::StrCat(model.n_heads(), " of width ", model.d_head(),
                      shared ? absl::StrCat(", ", model.n_kv_heads(), " for keys and values") : "");
}

// Of a model at the hub neither need be known.
std::string WeightsText(const v1::Model& model) {
  std::vector<std::string> parts;
  if (!model.stored_dtype().empty()) parts.push_back(model.stored_dtype());
  if (model.stored_bytes() > 0) parts.push_back(BytesText(model.stored_bytes()));
  return absl::StrJoin(parts, ", ");
}

std::string TokenizerText(const v1::Model& model) {
  if (model.has_tokenizer()) return model.tokenizer();
  return absl::StrCat("none", model.tokenizer_problem().empty() ? "" : ": ", model.tokenizer_problem(),
                      "; token rows only (--tokens)");
}

std::string StateText(const v1::Model& model, absl::Time now) {
  std::vector<std::string> parts = {ModelStateWord(model)};
  if (model.resident_bytes() > 0) parts.push_back(BytesText(model.resident_bytes()) + " on its devices");
  if (model.load_seconds() > 0)
    parts.push_back(absl::StrFormat("latest load took %.1f s", model.load_seconds()));
  if (model.n_pins() > 0) parts.push_back(absl::StrCat("in use by ", model.n_pins()));
  if (const std::string last = LastUseText(model, now); !last.empty()) parts.push_back("used " + last);
  return absl::StrJoin(parts, ", ");
}

}  // namespace

std::string CountText(double count) { return InUnits(count, {{1e9, "B"}, {1e6, "M"}, {1e3, "k"}}); }

std::string BytesText(double bytes) {
  const std::string text = InUnits(bytes, {{1e9, " GB"}, {1e6, " MB"}, {1e3, " kB"}});
  return bytes < 1000 ? text + " B" : text;
}

std::string ModelTable(const v1::ListModelsResponse& models, absl::Time now) {
  std::vector<std::vector<std::string>> rows;
  std::string problems;
  for (const v1::Model& model : models.models()) {
    rows.push_back(ListedRow(model, now));
    if (!model.problem().empty())
      absl::StrAppend(&problems, "\n", Printable(model.name()), ": ", Printable(model.problem()), "\n");
  }
  return FormatTable({"NAME", "STATE", "L x H", "PARAMS", "DTYPE", "SIZE", "LAST USE"}, rows) + problems;
}

std::string ModelDescription(const v1::Model& model, absl::Time now) {
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"architecture", model.architecture()},
      {"revision", model.revision()},
      {"layers", absl::StrCat(model.n_layers())},
      {"heads", HeadCountText(model)},
      {"d_model", absl::StrCat(model.d_model())},
      {"d_mlp", absl::StrCat(model.d_mlp())},
      {"context", Counted(model.max_positions(), "token")},
      {"vocabulary", Counted(model.vocab_size(), "token")},
      {"parameters", CountText(model.n_parameters())},
      {"weights", WeightsText(model)},
      {"tokenizer", TokenizerText(model)},
      {"words", !model.has_tokenizer() ? ""
                                       : absl::StrCat("ABAB ", model.n_letters(), " of ", kLetters,
                                                      " letters, NAMES ", model.n_names(), " names")},
      {"state", StateText(model, now)}};
  std::string text = absl::StrCat(Printable(model.name()), "\n");
  for (const auto& [what, value] : lines) {
    if (!value.empty()) absl::StrAppendFormat(&text, "  %-13s %s\n", what, Printable(value));
  }
  return text;
}

}  // namespace induct::client
