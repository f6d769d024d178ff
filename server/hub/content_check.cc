#include "server/hub/content_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/hash.h"
#include "common/status.h"

namespace induct::hub {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kSha256Digits = 64;
constexpr size_t kGitSha1Digits = 40;

absl::Status AddFile(int fd, uint64_t size, Hash& hash, const std::stop_token& stop) {
  std::vector<char> piece(kPieceBytes);
  for (uint64_t at = 0; at < size;) {
    if (stop.stop_requested()) return Stopped();
    const ssize_t n =
        pread(fd, piece.data(), std::min<uint64_t>(piece.size(), size - at), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::DataLossError(absl::StrCat("cannot be read back: ", std::strerror(errno)));
    if (n == 0) return absl::DataLossError(absl::StrCat("ends after ", at, " of ", size, " bytes"));
    hash.Add({piece.data(), static_cast<size_t>(n)});
    at += static_cast<uint64_t>(n);
  }
  return absl::OkStatus();
}

bool IsHexadecimal(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return absl::ascii_isxdigit(c); });
}

}  // namespace

absl::Status CheckContent(int fd, uint64_t size, const std::string& etag, const std::stop_token& stop) {
  const bool is_sha256 = etag.size() == kSha256Digits;
  if ((!is_sha256 && etag.size() != kGitSha1Digits) || !IsHexadecimal(etag)) return absl::OkStatus();
  Hash hash(is_sha256 ? Hash::Kind::kSha256 : Hash::Kind::kSha1);
  if (!is_sha256) hash.Add(absl::StrCat("blob ", size, absl::string_view("\0", 1)));
  INDUCT_RETURN_IF_ERROR(AddFile(fd, size, hash, stop));
  const std::string found = hash.FinishHex();
  if (found == absl::AsciiStrToLower(etag)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(is_sha256 ? "SHA-256 " : "git's SHA-1 ", found, " where the hub announces ", etag));
}

}  // namespace induct::hub
