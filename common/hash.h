// Cryptographic hashes of bytes that come piece by piece.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace induct {

// Used by one thread at a time, for one hash.
class Hash {
 public:
  enum class Kind { kSha1, kSha256 };

  explicit Hash(Kind kind);
  ~Hash();

  void Add(std::string_view bytes);
  // Of all that was added, as lower-case hexadecimal. The last call.
  std::string FinishHex();

 private:
  // OpenSSL's type stays in the source file.
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace induct
