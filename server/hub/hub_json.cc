#include "server/hub/hub_json.h"

#include <algorithm>

namespace induct::hub {
namespace {

using nlohmann::json;

// {"siblings": [{"rfilename": ...}]} is the deepest that is read.
constexpr int kMaxDepth = 4;

}  // namespace

json ParseFields(std::string_view text, std::initializer_list<std::string_view> wanted) {
  const auto keep = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event != json::parse_event_t::key || depth != 1) return depth <= kMaxDepth;
    return std::ranges::find(wanted, parsed.get_ref<const std::string&>()) != wanted.end();
  };
  json document = json::parse(text, keep, /*allow_exceptions=*/false);
  return document.is_object() ? document : json::object();
}

}  // namespace induct::hub
