#include "client/heads.h"

#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace induct::client {

std::string HeadText(const v1::HeadRef& head) { return absl::StrCat(head.layer(), ".", head.head()); }

absl::StatusOr<v1::HeadRef> ParseHead(const std::string& flag, const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  uint32_t layer = 0, head = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &layer) || !absl::SimpleAtoi(parts[1], &head)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, ": \"", text, "\" is no head; write LAYER.HEAD, both from 0, for example 3.1"));
  }
  v1::HeadRef ref;
  ref.set_layer(layer);
  ref.set_head(head);
  return ref;
}

}  // namespace induct::client
