#include "server/analysis/prompt_split.h"

#include <algorithm>
#include <cstddef>

#include "server/analysis/random.h"
#include "server/analysis/resampling.h"

namespace induct::analysis {

PromptSplit SplitPrompts(std::span<const Prompt> prompts, uint64_t seed) {
  const Strata strata = GroupByTaskAndLag(prompts);
  std::vector<std::vector<uint32_t>> members(strata.count);
  for (uint32_t prompt = 0; prompt < prompts.size(); ++prompt) {
    members[strata.of_prompt[prompt]].push_back(prompt);
  }

  PromptSplit split;
  bool selection_gets_more = false;  // of the next odd stratum; intervals need prompts to evaluate on
  for (uint32_t stratum = 0; stratum < strata.count; ++stratum) {
    std::vector<uint32_t>& shuffled = members[stratum];
    Random(seed, "causal_split", stratum).Shuffle(shuffled);
    size_t n_selection = shuffled.size() / 2;
    if (shuffled.size() % 2 == 1) {
      if (selection_gets_more) ++n_selection;
      selection_gets_more = !selection_gets_more;
    }
    const auto middle = shuffled.begin() + static_cast<std::ptrdiff_t>(n_selection);
    split.selection.insert(split.selection.end(), shuffled.begin(), middle);
    split.evaluation.insert(split.evaluation.end(), middle, shuffled.end());
  }
  std::sort(split.selection.begin(), split.selection.end());
  std::sort(split.evaluation.begin(), split.evaluation.end());
  return split;
}

}  // namespace induct::analysis
