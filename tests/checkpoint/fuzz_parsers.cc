// libFuzzer target over the three parsers of this room; the first byte picks one. Needs clang and
// -DINDUCT_FUZZ=ON -DINDUCT_SANITIZE=address:
//   tests/fuzz_parsers -max_len=65536 CORPUS
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/checkpoint/checkpoint.h"
#include "server/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      induct::checkpoint::ParseConfig(text).IgnoreError();
      break;
    case 1:
      induct::checkpoint::ParseSafetensorsHeader(text, 8 + text.size(), 4096, "fuzz").IgnoreError();
      break;
    default:
      if (const auto tokenizer = induct::checkpoint::Tokenizer::Parse(text); tokenizer.ok()) {
        (*tokenizer)->Encode("It's  caf\u00e9 2024\n").IgnoreError();
      }
  }
  return 0;
}
