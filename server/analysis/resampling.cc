#include "server/analysis/resampling.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

using StratumKey = std::pair<std::string, uint32_t>;  // task and lag

StratumKey KeyOf(const Prompt& prompt) {
  const bool given_by_user = prompt.task == "TEXT" || prompt.task == "TOKENS";
  return given_by_user ? StratumKey() : StratumKey(prompt.task, prompt.lag);
}

std::string Describe(const StratumKey& key) {
  return key == StratumKey() ? "TEXT or TOKENS" : absl::StrCat(key.first, ", lag ", key.second);
}

}  // namespace

Strata GroupByTaskAndLag(std::span<const Prompt> prompts) {
  Strata strata;
  std::map<StratumKey, uint32_t> number_of;
  for (const Prompt& prompt : prompts) {
    const auto [it, is_new] = number_of.try_emplace(KeyOf(prompt), strata.count);
    if (is_new) ++strata.count;
    strata.of_prompt.push_back(it->second);
  }
  return strata;
}

Strata StratifyPrompts(std::span<const Prompt> prompts) {
  Strata strata = GroupByTaskAndLag(prompts);
  std::vector<uint32_t> sizes(strata.count);
  for (const uint32_t stratum : strata.of_prompt) ++sizes[stratum];
  const auto single = std::find_if(prompts.begin(), prompts.end(), [&](const Prompt& prompt) {
    return sizes[strata.of_prompt[&prompt - prompts.data()]] == 1;
  });
  if (strata.count > 1 && single != prompts.end()) {
    strata.warning = absl::StrCat(
        "there is only one prompt of ", Describe(KeyOf(*single)),
        ", so the bootstrap resamples all prompts as one stratum instead of within each task and lag; "
        "at least two prompts of each keep them apart");
    std::fill(strata.of_prompt.begin(), strata.of_prompt.end(), 0u);
    strata.count = 1;
  }
  return strata;
}

std::optional<Strata> StrataToResample(std::span<const Prompt> prompts, uint32_t resamples,
                                       std::vector<std::string>& warnings) {
  if (resamples == 0) return std::nullopt;
  if (prompts.size() < 2) {
    warnings.push_back(
        "there is one prompt only, so there are no intervals; they come from resampling prompts");
    return std::nullopt;
  }
  Strata strata = StratifyPrompts(prompts);
  if (!strata.warning.empty()) warnings.push_back(strata.warning);
  return strata;
}

bool RestsOnOnePrompt(std::span<const uint32_t> counts) {
  return std::count_if(counts.begin(), counts.end(), [](uint32_t count) { return count > 0; }) == 1;
}

bool CanResample(const Strata& strata, std::span<const uint32_t> counts,
                 std::span<const uint32_t> paired_counts) {
  if (paired_counts.empty()) paired_counts = counts;
  std::vector<uint32_t> sizes(strata.count);
  for (const uint32_t stratum : strata.of_prompt) ++sizes[stratum];
  const auto with_operations = [](std::span<const uint32_t> of_prompts) {
    std::vector<size_t> prompts;
    for (size_t i = 0; i < of_prompts.size(); ++i) {
      if (of_prompts[i] > 0) prompts.push_back(i);
    }
    return prompts;
  };
  const std::vector<size_t> of_one = with_operations(counts), of_other = with_operations(paired_counts);
  if (of_one.empty() || of_other.empty()) return false;
  if (of_one.size() > 1 || of_other.size() > 1 || of_one == of_other) return true;
  const uint32_t stratum = strata.of_prompt[of_one[0]];
  return stratum != strata.of_prompt[of_other[0]] || sizes[stratum] > 2;
}

Resampler::Resampler(const Strata& strata, std::span<const uint32_t> counts, uint64_t seed,
                     std::span<const uint32_t> paired_counts)
    : counts_(counts),
      paired_counts_(paired_counts.empty() ? counts : paired_counts),
      seed_(seed),
      prompts_(strata.count) {
  for (uint32_t prompt = 0; prompt < strata.of_prompt.size(); ++prompt) {
    prompts_[strata.of_prompt[prompt]].push_back(prompt);
  }
}

double Resampler::Draw(uint64_t resample, std::span<double> weights) const {
  Random random(seed_, "bootstrap", resample);
  for (;;) {
    std::fill(weights.begin(), weights.end(), 0.0);
    double n_operations = 0, n_paired = 0;
    for (const std::vector<uint32_t>& stratum : prompts_) {
      const size_t n_drawn = stratum.size() - 1;
      const double weight = static_cast<double>(stratum.size()) / static_cast<double>(n_drawn);
      for (size_t i = 0; i < n_drawn; ++i) {
        const uint32_t prompt = stratum[random.Below(stratum.size())];
        weights[prompt] += weight;
        n_operations += weight * counts_[prompt];
        n_paired += weight * paired_counts_[prompt];
      }
    }
    if (n_operations > 0 && n_paired > 0) return n_operations;
  }
}

}  // namespace induct::analysis
