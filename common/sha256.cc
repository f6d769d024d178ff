#include "common/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace induct {
namespace {

using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Digest NewDigest() {
  Digest digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  return digest;
}

std::string FinishHex(EVP_MD_CTX* digest) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  EVP_DigestFinal_ex(digest, bytes.data(), &size);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kDigits[bytes[i] >> 4];
    hex += kDigits[bytes[i] & 15];
  }
  return hex;
}

}  // namespace

std::string Sha256Hex(std::string_view bytes) {
  Digest digest = NewDigest();
  EVP_DigestUpdate(digest.get(), bytes.data(), bytes.size());
  return FinishHex(digest.get());
}

absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path) {
  std::unique_ptr<FILE, decltype(&fclose)> file(fopen(path.c_str(), "rb"), &fclose);
  if (!file) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  Digest digest = NewDigest();
  std::vector<char> piece(1 << 20);
  while (const size_t n = fread(piece.data(), 1, piece.size(), file.get())) {
    EVP_DigestUpdate(digest.get(), piece.data(), n);
  }
  if (ferror(file.get())) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  return FinishHex(digest.get());
}

}  // namespace induct
