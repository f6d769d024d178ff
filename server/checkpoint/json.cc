#include "server/checkpoint/json.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

using nlohmann::json;

// What the parser itself does not bound: brackets outside of strings that nest too deep, and how far it is
// from one string or number to the next, which is what its buffers hold at once. Text that is no JSON may
// count wrongly; the parser refuses it anyway.
absl::Status CheckBounds(std::string_view text, const std::string& what) {
  int depth = 0;
  size_t begin = 0;  // of the latest string or number
  bool in_string = false;
  bool in_number = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i - begin > kMaxJsonTokenBytes) {
      return BadCheckpoint(absl::StrCat(what, ": a text, number or gap of more than ", kMaxJsonTokenBytes,
                                        " bytes before byte ", i));
    }
    if (in_string) {
      in_string = c != '"';
      i += c == '\\';
      continue;
    }
    const bool starts_number = !in_number && (absl::ascii_isdigit(c) || c == '-');
    in_string = c == '"';
    in_number = starts_number || (in_number && (absl::ascii_isalnum(c) || c == '.' || c == '+' || c == '-'));
    if (in_string || starts_number) begin = i;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (depth > kMaxJsonDepth) {
      return BadCheckpoint(absl::StrCat(what, ": JSON nested deeper than ", kMaxJsonDepth, " levels"));
    }
  }
  return absl::OkStatus();
}

// Builds the document as the parser goes, handing over what is streamed. Its functions, which the parser
// calls, return whether to go on; status() says why not.
class DocumentBuilder : public nlohmann::json_sax<json> {
 public:
  DocumentBuilder(const std::string& what, size_t text_bytes, std::span<const JsonStream> streams)
      : what_(what), text_bytes_(text_bytes), streams_(streams) {}

  const absl::Status& status() const { return status_; }
  json& document() { return document_; }

  bool null() override { return AddScalar(nullptr); }
  bool boolean(bool value) override { return AddScalar(value); }
  bool number_integer(number_integer_t value) override { return AddScalar(value); }
  bool number_unsigned(number_unsigned_t value) override { return AddScalar(value); }
  bool number_float(number_float_t value, const string_t&) override { return AddScalar(value); }
  bool string(string_t& value) override { return AddScalar(value); }
  bool binary(binary_t&) override { return Fail("holds binary data"); }  // no text does
  bool start_object(size_t) override { return Open(json::object()); }
  bool start_array(size_t) override { return Open(json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& key) override;
  bool parse_error(size_t position, const std::string& token, const json::exception& error) override;

 private:
  // An object or list that is not at its end yet.
  struct Level {
    json* container;
    std::string key;           // of the member that is being read
    const JsonStream* stream;  // of the container; nullptr: it is kept
  };

  bool Fail(const std::string& complaint) {
    status_ = BadCheckpoint(absl::StrCat(what_, ": ", complaint));
    return false;
  }
  // Puts a value where it belongs; nullptr where there are too many.
  json* Add(json value);
  bool AddScalar(json value) { return Add(std::move(value)) != nullptr && FinishMember(); }
  bool Open(json container);
  bool Close();
  // After a whole member of the innermost container: hands it over where that is streamed.
  bool FinishMember();
  const JsonStream* StreamHere() const;

  const std::string& what_;
  const size_t text_bytes_;
  const std::span<const JsonStream> streams_;
  json document_;
  std::vector<Level> levels_;
  size_t n_values_ = 0;  // in document_, without what has been handed over but for its containers
  size_t n_values_before_member_ = 0;  // of the container that is streamed now
  absl::Status status_;
};

json* DocumentBuilder::Add(json value) {
  if (++n_values_ > kMaxJsonValues) {
    Fail(absl::StrCat("more than ", kMaxJsonValues, " values"));
    return nullptr;
  }
  if (levels_.empty()) return &(document_ = std::move(value));
  json& parent = *levels_.back().container;
  if (parent.is_object()) return &(parent[levels_.back().key] = std::move(value));
  parent.push_back(std::move(value));
  return &parent.back();
}

bool DocumentBuilder::Open(json container) {
  json* added = Add(std::move(container));
  if (added == nullptr) return false;
  const JsonStream* stream = StreamHere();
  if (stream != nullptr) n_values_before_member_ = n_values_;
  levels_.push_back({.container = added, .stream = stream});
  return true;
}

bool DocumentBuilder::Close() {
  levels_.pop_back();
  return FinishMember();
}

bool DocumentBuilder::FinishMember() {
  if (levels_.empty() || levels_.back().stream == nullptr) return true;
  json& container = *levels_.back().container;
  status_ = levels_.back().stream->take(levels_.back().key, *container.begin());
  container.clear();
  n_values_ = n_values_before_member_;
  return status_.ok();
}

bool DocumentBuilder::key(string_t& key) {
  if (levels_.back().container->contains(key))
    return Fail(absl::StrCat("key ", Quoted(key), " stands twice"));
  levels_.back().key = key;
  return true;
}

// The stream of the container that is being opened at this place.
const JsonStream* DocumentBuilder::StreamHere() const {
  for (const JsonStream& stream : streams_) {
    if (std::ranges::equal(stream.path, levels_, {}, {}, &Level::key)) return &stream;
  }
  return nullptr;
}

bool DocumentBuilder::parse_error(size_t position, const std::string&, const json::exception& error) {
  constexpr int kNumberOutOfRange = 406;  // beyond double
  if (error.id == kNumberOutOfRange) return Fail("holds a number that is out of range");
  return Fail(absl::StrCat("not valid JSON at byte ", position, " of ", text_bytes_));
}

std::string Described(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return Quoted(value.get_ref<const std::string&>());
  return value.dump();
}

}  // namespace

absl::StatusOr<json> ParseJson(std::string_view text, const std::string& what,
                               std::span<const JsonStream> streams) {
  INDUCT_RETURN_IF_ERROR(CheckBounds(text, what));
  DocumentBuilder builder(what, text.size(), streams);
  json::sax_parse(text, &builder);
  INDUCT_RETURN_IF_ERROR(builder.status());
  return std::move(builder.document());
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

absl::StatusOr<double> JsonFields::Number(const std::string& key) const {
  const json* value = Find(key);
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>()))
    return Wrong(key, "must be a number");
  return value->get<double>();
}

absl::StatusOr<double> JsonFields::NumberOr(const std::string& key, double fallback) const {
  if (Find(key) == nullptr) return fallback;
  return Number(key);
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
