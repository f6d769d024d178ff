// Replays what the fuzzers keep, and thousands of damaged copies of it: each reader must return, with a
// status of the documented kind (targets.cc ends the process otherwise). Run it under the sanitizers too.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "common/atomic_file.h"
#include "tests/fuzz/targets.h"

namespace induct::checkpoint {
namespace {

constexpr size_t kRounds = 3000;

// `text` cut short, or with a few bytes overwritten, removed, inserted or repeated.
std::string Damaged(std::string text, std::mt19937& random) {
  const auto below = [&random](size_t n) { return static_cast<size_t>(random()) % std::max<size_t>(n, 1); };
  if (below(8) == 0) return text.substr(0, below(text.size()));
  static constexpr char kSpelt[] = "{}[]\",:0123456789-.eE\\u\0\xff truenlfas(t)RQXqhK\x85\x8a";
  constexpr std::string_view kBytes(kSpelt, sizeof(kSpelt) - 1);  // with the NUL within
  for (size_t i = 0, edits = 1 + below(4); i < edits && !text.empty(); ++i) {
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
  }
  return text;
}

class Corpus : public testing::TestWithParam<FuzzTarget> {
 protected:
  // The target's kept files, in the order of their names.
  static std::vector<std::string> Files() {
    const std::filesystem::path folder =
        std::filesystem::path(INDUCT_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam().name;
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
    std::ranges::sort(paths);
    std::vector<std::string> files;
    for (const auto& path : paths) files.push_back(ReadFile(path.string()).value());
    return files;
  }
};

TEST_P(Corpus, IsRefusedOrRead) {
  int n_read = 0;
  int n_refused = 0;
  for (const std::string& file : Files()) (GetParam().read(file).ok() ? n_read : n_refused) += 1;
  EXPECT_GT(n_read, 0);
  EXPECT_GT(n_refused, 0);
}

TEST_P(Corpus, IsRefusedOrReadWhenDamaged) {
  const std::vector<std::string> files = Files();
  std::mt19937 random(1);
  int n_refused = 0;
  for (size_t i = 0; i < kRounds; ++i) {
    n_refused += !GetParam().read(Damaged(files[i % files.size()], random)).ok();
  }
  EXPECT_GT(n_refused, static_cast<int>(kRounds) / 2);
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, testing::ValuesIn(FuzzTargets().begin(), FuzzTargets().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace induct::checkpoint
