#include "client/address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"

namespace induct::client {
namespace {

constexpr int kDefaultPort = 50051;

absl::Status Refuse(const std::string& text) {
  return InvalidField("server",
                      absl::StrCat("\"", text, "\" is no address; host, host:port or unix:/path needed"));
}

}  // namespace

absl::StatusOr<std::string> ParseAddress(const std::string& text) {
  if (absl::StartsWith(text, "unix:")) {
    if (text.size() == 5) return Refuse(text);
    return text;
  }
  const auto is_plain = [](unsigned char c) { return absl::ascii_isgraph(c) && c != '/'; };
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_plain)) return Refuse(text);
  const bool bracketed = text.front() == '[';
  const size_t host_end = bracketed ? text.find(']') + 1 : text.find(':');
  if (bracketed && host_end == 0) return Refuse(text);
  const bool bare_ipv6 = !bracketed && std::count(text.begin(), text.end(), ':') > 1;
  if (bare_ipv6) return absl::StrCat("[", text, "]:", kDefaultPort);
  if (host_end == std::string::npos || host_end == text.size()) return absl::StrCat(text, ":", kDefaultPort);
  int port = 0;
  const bool has_port = text[host_end] == ':' && absl::SimpleAtoi(text.substr(host_end + 1), &port);
  if (host_end == 0 || !has_port || port < 1 || port > 65535) return Refuse(text);
  return text;
}

}  // namespace induct::client
