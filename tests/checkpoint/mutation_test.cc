// Thousands of damaged files: each parser must return, with a status of the documented kind. Run it under the
// sanitizers too.
#include <random>

#include "common/atomic_file.h"
#include "server/checkpoint/safetensors.h"
#include "tests/checkpoint/checkpoint_files.h"

namespace induct::checkpoint {
namespace {

constexpr int kRounds = 2000;

// `text` cut short, or with a few bytes overwritten, removed, inserted or repeated.
std::string Damaged(std::string text, std::mt19937& random) {
  const auto below = [&random](size_t n) { return static_cast<size_t>(random()) % n; };
  if (below(4) == 0) return text.substr(0, below(text.size()));
  constexpr std::string_view kBytes = "{}[]\",:0123456789-.eE\\u\0\xff truenlfas";
  for (size_t i = 0, edits = 1 + below(4); i < edits; ++i) {
    const size_t at = below(text.size());
    switch (below(4)) {
      case 0:
        text[at] = kBytes[below(kBytes.size())];
        break;
      case 1:
        text.erase(at, 1 + below(8));
        break;
      case 2:
        text.insert(at, 1, kBytes[below(kBytes.size())]);
        break;
      default:
        text.insert(at, text.substr(below(text.size()), below(40)));
        break;
    }
    if (text.empty()) break;
  }
  return text;
}

void ExpectDocumented(const absl::Status& status) {
  if (status.ok()) return;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(ReasonOf(status), testing::AnyOf(reason::kBadCheckpoint, reason::kUnsupportedModel)) << status;
}

TEST(DamagedFile, SafetensorsHeaderIsRefusedOrRead) {
  uint64_t bytes = 0;
  const std::string text = TinyHeader(bytes).dump();
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < kRounds; ++i) {
    const std::string damaged = Damaged(text, random);
    const auto header = ParseSafetensorsHeader(damaged, 8 + damaged.size(), bytes, "damaged");
    ExpectDocumented(header.status());
    refused += !header.ok();
    if (!header.ok()) continue;
    for (const auto& [name, tensor] : header->tensors) {
      EXPECT_LE(tensor.offset + tensor.bytes, 8 + damaged.size() + bytes) << name;
    }
  }
  EXPECT_GT(refused, kRounds / 2);
}

TEST(DamagedFile, ConfigIsRefusedOrRead) {
  const std::string config = TinyConfig().dump();
  std::mt19937 random(2);
  for (int i = 0; i < kRounds; ++i) ExpectDocumented(ParseConfig(Damaged(config, random)).status());
}

TEST(DamagedFile, TokenizerIsRefusedOrWorks) {
  const auto text = ReadFile(std::string(INDUCT_SOURCE_DIR) + "/tests/checkpoint/data/added_tokens.json");
  ASSERT_TRUE(text.ok()) << text.status();
  std::mt19937 random(3);
  int parsed = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto tokenizer = Tokenizer::Parse(Damaged(*text, random));
    ExpectDocumented(tokenizer.status());
    if (!tokenizer.ok()) continue;
    ++parsed;
    const auto ids = (*tokenizer)->Encode("The [W] word  [B]  caf\u00e9 ne\u0301e <|endoftext|>");
    ASSERT_TRUE(ids.ok()) << ids.status();
    (*tokenizer)->Decode(*ids);
  }
  EXPECT_GT(parsed, 10);
}

}  // namespace
}  // namespace induct::checkpoint
