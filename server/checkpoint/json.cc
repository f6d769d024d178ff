#include "server/checkpoint/json.h"

#include <cmath>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

// Whether brackets outside of strings nest deeper than `max_depth`. Text that is no JSON may count wrongly;
// the parser refuses it anyway.
bool NestsDeeperThan(std::string_view text, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > max_depth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

// Sees every key as the parser meets it and remembers the first that its object holds already.
class DuplicateKeyFinder {
 public:
  bool operator()(int, json::parse_event_t event, json& parsed) {
    using Event = json::parse_event_t;
    if (event == Event::object_start) open_objects_.emplace_back();
    if (event == Event::object_end) open_objects_.pop_back();
    if (event == Event::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!open_objects_.back().insert(key).second && !duplicate_) duplicate_ = key;
    }
    return true;
  }

  const std::optional<std::string>& duplicate() const { return duplicate_; }

 private:
  std::vector<absl::flat_hash_set<std::string>> open_objects_;
  std::optional<std::string> duplicate_;
};

std::string Described(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return Quoted(value.get_ref<const std::string&>());
  return value.dump();
}

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view text, const std::string& what, int max_depth) {
  if (NestsDeeperThan(text, max_depth)) {
    return BadCheckpoint(absl::StrCat(what, ": JSON nested deeper than ", max_depth, " levels"));
  }
  DuplicateKeyFinder finder;
  json document;
  try {
    document = json::parse(text, std::ref(finder));
  } catch (const json::parse_error& error) {
    return BadCheckpoint(absl::StrCat(what, ": not valid JSON at byte ", error.byte, " of ", text.size()));
  } catch (const json::exception&) {  // a number beyond the range of double
    return BadCheckpoint(absl::StrCat(what, ": holds a number that is out of range"));
  }
  if (finder.duplicate())
    return BadCheckpoint(absl::StrCat(what, ": key ", Quoted(*finder.duplicate()), " stands twice"));
  return document;
}

bool IsIntegerIn(const json& value, int64_t min, int64_t max, int64_t& out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() &&
      value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  out = value.get<int64_t>();
  return min <= out && out <= max;
}

absl::StatusOr<JsonFields> JsonFields::Of(const json& value, const std::string& what) {
  if (!value.is_object())
    return BadCheckpoint(absl::StrCat(what, ": must be a JSON object, not ", Described(value)));
  return JsonFields(&value, what);
}

const json* JsonFields::Find(const std::string& key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

absl::Status JsonFields::Wrong(const std::string& key, const std::string& complaint) const {
  const json* value = Find(key);
  if (value == nullptr) return BadCheckpoint(absl::StrCat(what_, ": ", key, " is missing"));
  return BadCheckpoint(absl::StrCat(what_, ": ", key, " ", complaint, ", not ", Described(*value)));
}

absl::StatusOr<int64_t> JsonFields::Integer(const std::string& key, int64_t min, int64_t max) const {
  const json* value = Find(key);
  int64_t integer = 0;
  if (value == nullptr || !IsIntegerIn(*value, min, max, integer)) {
    return Wrong(key, absl::StrCat("must be a whole number from ", min, " to ", max));
  }
  return integer;
}

absl::StatusOr<int64_t> JsonFields::IntegerOr(const std::string& key, int64_t min, int64_t max,
                                              int64_t fallback) const {
  if (Find(key) == nullptr) return fallback;
  return Integer(key, min, max);
}

absl::StatusOr<double> JsonFields::NumberOr(const std::string& key, double fallback) const {
  const json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>())) return Wrong(key, "must be a number");
  return value->get<double>();
}

absl::StatusOr<bool> JsonFields::FlagOr(const std::string& key, bool fallback) const {
  const json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return Wrong(key, "must be true or false");
  return value->get<bool>();
}

absl::StatusOr<std::string> JsonFields::Text(const std::string& key) const {
  const json* value = Find(key);
  if (value == nullptr || !value->is_string()) return Wrong(key, "must be a text");
  return value->get<std::string>();
}

absl::StatusOr<std::string> JsonFields::TextOr(const std::string& key, const std::string& fallback) const {
  if (Find(key) == nullptr) return std::string(fallback);
  return Text(key);
}

absl::StatusOr<JsonFields> JsonFields::Object(const std::string& key) const {
  const json* value = Find(key);
  if (value == nullptr || !value->is_object()) return Wrong(key, "must be an object");
  return Of(*value, absl::StrCat(what_, ": ", key));
}

}  // namespace induct::checkpoint
