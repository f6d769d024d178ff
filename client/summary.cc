#include "client/summary.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/figures/captions.h"
#include "client/kinds.h"
#include "client/summary_rows.h"
#include "client/text.h"
#include "client/verdicts.h"
#include "induct/v1/profile.pb.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

bool HasProfile(const SavedRun& run) {
  return std::ranges::any_of(run.models,
                             [](const SavedModel& model) { return model.Get<v1::Profile>() != nullptr; });
}

// Prompts that the intervals rest on, which may be fewer than were measured.
uint32_t PromptsOfIntervals(const SavedRun& run) {
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.prompts_of_intervals == nullptr) continue;
    for (const ShownResult& of : ResultsOf(kind, run)) return kind.prompts_of_intervals(*ResultOf(kind, of));
  }
  return run.metadata.n_prompts();
}

std::string NotesOnIntervals(const SavedRun& run) {
  std::string text;
  const uint32_t n_prompts = PromptsOfIntervals(run);  // 0: of a run that does not say
  if (n_prompts > 0 && n_prompts < kFewPrompts) {
    text += Row("warning", absl::StrCat("few prompts: intervals of fewer than ", kFewPrompts,
                                        " miss the true value more often than 1 time in 20"));
  }
  text += Row("intervals", "speak of prompts made of these words, and of this model as it was trained");
  if (HasProfile(run))
    text += Row("", "best heads were chosen as the highest: their level is too high (docs/method.md)");
  return text;
}

std::string KindSummary(const AnalysisKind& kind, const SavedRun& run) {
  std::string text;
  for (const ShownResult& of : ResultsOf(kind, run)) text += kind.summary(of);
  return text;
}

// What the run's own analysis found; where that is missing, what else there is.
std::string ResultsText(const SavedRun& run) {
  const AnalysisKind* own = KindOfCommand(run.metadata.command());
  std::string text = own == nullptr ? "" : KindSummary(*own, run);
  if (!text.empty()) return text;
  for (const AnalysisKind& kind : AnalysisKinds()) text += KindSummary(kind, run);
  return text;
}

}  // namespace

std::string SummaryText(const SavedRun& run, const std::string& saved) {
  std::string text = ResultsText(run);
  for (const std::string& warning : run.metadata.warnings()) text += Row("warning", Printable(warning));
  if (HasIntervals(run)) text += NotesOnIntervals(run);
  return text + Row("saved in", saved);
}

absl::StatusOr<std::string> ResultJson(const SavedRun& run) {
  const AnalysisKind* kind = KindOfCommand(run.metadata.command());
  const std::vector<ShownResult> results =
      kind == nullptr ? std::vector<ShownResult>() : ResultsOf(*kind, run);
  if (!results.empty()) return ToJson(*ResultOf(*kind, results.front()));
  return absl::DataLossError(absl::StrCat(run.path, " holds no result", run.problems.empty() ? "" : ": ",
                                          absl::StrJoin(run.problems, "; ")));
}

}  // namespace induct::client
