#include "common/hash.h"

#include <openssl/evp.h>

#include <array>

#include "absl/strings/escaping.h"

namespace induct {

struct Hash::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Hash::Hash(Kind kind) : state_(std::make_unique<State>()) {
  EVP_DigestInit_ex(state_->context.get(), kind == Kind::kSha1 ? EVP_sha1() : EVP_sha256(), nullptr);
}

Hash::~Hash() = default;

void Hash::Add(std::string_view bytes) {
  EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
}

std::string Hash::FinishHex() {
  std::array<char, EVP_MAX_MD_SIZE> bytes;
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(bytes.data()), &size);
  return absl::BytesToHexString(absl::string_view(bytes.data(), size));
}

}  // namespace induct
