#include "server/analysis/sign_flip.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "server/analysis/random.h"

namespace induct::analysis {
namespace {

// Effects of one size in all prompts have no sd, but rounding leaves them one. Share of the squares that is
// rounding: of probabilities in float32, and of sums of `n_prompts` numbers in double.
double Rounding(double n_prompts) { return 1e-14 + 4 * n_prompts * std::numeric_limits<double>::epsilon(); }

// The statistic of a column whose effects have this mean. A flip changes no square, so the sd follows from
// the mean.
double Statistic(double mean, double squares, double n_prompts) {
  const double about_mean = squares - n_prompts * mean * mean;
  if (about_mean <= Rounding(n_prompts) * squares) return 0;
  return mean / std::sqrt(about_mean / (n_prompts - 1) / n_prompts);
}

// The sign of each prompt in one flip, a bit each.
class Signs {
 public:
  Signs(uint64_t seed, uint64_t flip) : random_(seed, "sign_flip", flip) {}
  double Next() {
    if (left_ == 0) {
      bits_ = random_.Next();
      left_ = 64;
    }
    --left_;
    return (bits_ >> left_ & 1) != 0 ? 1.0 : -1.0;
  }

 private:
  Random random_;
  uint64_t bits_ = 0;
  int left_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<double>> SignFlipTest(std::span<const double> effects, size_t n_prompts,
                                                 uint32_t resamples, uint64_t seed, std::stop_token stop) {
  const size_t n_columns = effects.size() / n_prompts;
  const auto n = static_cast<double>(n_prompts);
  std::vector<double> squares(n_columns), sums(n_columns);
  for (size_t i = 0; i < effects.size(); ++i) {
    squares[i % n_columns] += effects[i] * effects[i];
    sums[i % n_columns] += effects[i];
  }
  std::vector<double> own(n_columns);
  for (size_t c = 0; c < n_columns; ++c) own[c] = Statistic(sums[c] / n, squares[c], n);

  std::vector<double> highest;  // of each flip, over the columns
  for (uint32_t flip = 0; flip < resamples; ++flip) {
    if (stop.stop_requested()) return absl::CancelledError("cancelled during the sign-flip test");
    Signs signs(seed, flip);
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t prompt = 0; prompt < n_prompts; ++prompt) {
      const double sign = signs.Next();
      const double* of_prompt = &effects[prompt * n_columns];
      for (size_t c = 0; c < n_columns; ++c) sums[c] += sign * of_prompt[c];
    }
    double most = -std::numeric_limits<double>::infinity();
    for (size_t c = 0; c < n_columns; ++c) most = std::max(most, Statistic(sums[c] / n, squares[c], n));
    highest.push_back(most);
  }

  std::sort(highest.begin(), highest.end());
  std::vector<double> p_adjusted;
  for (const double statistic : own) {
    const auto reached = highest.end() - std::lower_bound(highest.begin(), highest.end(),
                                                          statistic - 1e-9 * std::abs(statistic));
    p_adjusted.push_back(static_cast<double>(1 + reached) / static_cast<double>(1 + uint64_t{resamples}));
  }
  return p_adjusted;
}

}  // namespace induct::analysis
