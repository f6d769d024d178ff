// The regular expressions of tokenizer.json are written for Oniguruma (Ruby's syntax, Unicode 16); PCRE2 runs
// them here. The two agree on most of what tokenizers use, and where they do not, this says the same in
// PCRE2.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace induct::checkpoint {

// `pattern` for PCRE2 (compiled with UTF and UCP). Known are: literals, escapes of characters, \s \S \d \D and
// \p{..} \P{..} of general categories, classes of those, `.`, alternation, quantifiers, groups, atomic groups,
// look-around, and (?i:..) around ASCII characters. All else (\w, \b, anchors, scripts, nested classes,
// repeated groups that may match nothing, ...) is UNSUPPORTED_MODEL naming it.
absl::StatusOr<std::string> TranslateRegex(std::string_view pattern);

// A PCRE2 pattern that matches exactly `text`.
std::string LiteralRegex(std::string_view text);

}  // namespace induct::checkpoint
