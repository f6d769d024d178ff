#include "absl/strings/str_cat.h"
#include "client/kinds/pattern.h"
#include "client/report/charts.h"
#include "client/report/phrases.h"
#include "client/text.h"
#include "induct/v1/pattern.pb.h"

namespace induct::client {

Findings PatternFindings(const ShownResult& of, const std::vector<SavedRun>&) {
  const SavedModel& model = *of.model;
  const v1::AttentionPattern& pattern = *model.Get<v1::AttentionPattern>();
  Findings findings;
  findings.blocks.push_back(Paragraph{absl::StrCat(
      "The attention of ", HeadName(pattern.head().layer(), pattern.head().head()), " of ", model.label,
      " on prompt ", pattern.prompt(), ", ",
      Counted(static_cast<uint64_t>(pattern.token_ids_size()), "token"), "; ",
      pattern.targets().empty()
          ? "the score reads nothing in it."
          : absl::StrCat("the score reads ", pattern.targets_size(), " of its probabilities."))});
  if (AttentionOf(model) != nullptr) findings.blocks.push_back(PatternChart(model));
  return findings;
}

}  // namespace induct::client
