// Texts that several figures share.
#pragma once

#include <string>

#include "induct/v1/profile.pb.h"

namespace induct::client {

// "400 prompts, 12,345 copy operations, antecedents first, lag >= 3".
std::string MeasuredOn(const v1::Profile& profile);

// Step between ticks so that `n` positions get at most `most` labels: 1, 2, 4, 5, 8, 10, ...
int TickStep(int n, int most);

// At most `width` characters of UTF-8 text, the middle left out where it is longer.
std::string Shortened(const std::string& text, size_t width);

}  // namespace induct::client
