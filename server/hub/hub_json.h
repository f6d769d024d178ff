// JSON of a hub or of its cache: untrusted, possibly large, and of which little is needed.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

namespace induct::hub {

// The fields `wanted` of a JSON object, to a depth of a few levels; the rest of the text is checked and
// dropped as it is read. An empty object where the text is no JSON object.
nlohmann::json ParseFields(std::string_view text, std::initializer_list<std::string_view> wanted);

}  // namespace induct::hub
