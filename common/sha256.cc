#include "common/sha256.h"

#include <cerrno>
#include <cstdio>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/hash.h"

namespace induct {

std::string Sha256Hex(std::string_view bytes) {
  Hash hash(Hash::Kind::kSha256);
  hash.Add(bytes);
  return hash.FinishHex();
}

absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path) {
  std::unique_ptr<FILE, decltype(&fclose)> file(fopen(path.c_str(), "rb"), &fclose);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  Hash hash(Hash::Kind::kSha256);
  std::vector<char> piece(1 << 20);
  while (const size_t n = fread(piece.data(), 1, piece.size(), file.get())) {
    hash.Add({piece.data(), n});
  }
  if (ferror(file.get())) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  return hash.FinishHex();
}

}  // namespace induct
