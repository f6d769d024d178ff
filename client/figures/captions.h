// Texts that several figures share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "induct/v1/causal.pb.h"
#include "induct/v1/lag_buckets.pb.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/profile.pb.h"

namespace induct::client {

// "400 prompts, 12,345 copy operations, antecedents first, lag >= 3"; of the kind "previous", which reads
// other positions, "400 prompts, 5,600 positions without an antecedent".
std::string MeasuredOn(const v1::Profile& profile);

// What a point of the profile's curve is: "induction score of the top head of 8".
std::string ScoreOfKeptHeads(const v1::Profile& profile);

// Heads of each set that the control draws; 0 where it has no draws.
int HeadsOfEachSet(const v1::ControlArm& control);

// What the arm top_k ablates: "chosen" heads where the user gave them, else "top".
const char* ChosenWord(const v1::Causal& causal);

// "antecedents first, lag >= 3", of any result that says so.
template <typename Result>
std::string Operations(const Result& result);
std::string Operations(const std::string& antecedents, uint32_t min_lag);

// " [0.480, 0.560]".
std::string IntervalText(double low, double high);

// "lag 9 to 16", "lag >= 17".
std::string LagRange(const v1::LagBucket& bucket);

// The p below which figures mark what they show.
inline constexpr double kSignificant = 0.05;
// Below this number of prompts intervals cover less than they say.
inline constexpr uint32_t kFewPrompts = 60;

// Of the significant heads, or of all where none is, the one with the largest effect: its place in the
// matrices.
int StrongestHead(const v1::AntecedentNull& null);

// "p = 0.0012".
std::string PText(double p);

// Step between ticks so that `n` positions get at most `most` labels: 1, 2, 4, 5, 8, 10, ...
int TickStep(int n, int most);

// Distance between ticks on a range so that about `most` of them stand on it, two at least: 1, 2 or 5 times a
// power of ten. REQUIRES: range > 0.
double TickDistance(double range, int most);

// At most `width` characters of UTF-8 text, the middle left out where it is longer.
std::string Shortened(const std::string& text, size_t width);

// The text in lines of at most `width` characters, broken at spaces; longer words are shortened. At least one
// line.
std::vector<std::string> Wrapped(const std::string& text, size_t width);

template <typename Result>
std::string Operations(const Result& result) {
  return Operations(result.antecedents(), result.min_lag());
}

}  // namespace induct::client
