// How fast text becomes ids, on one thread, in documents of about 2 kB:
//
//   tokenizer_benchmark TOKENIZER_JSON TEXT_FILE [rounds]
//
// Writes {"load_seconds", "megabytes_per_second" (best of the rounds), "ids"}. tokenizer_benchmark.py makes a
// text and times the `tokenizers` package beside it.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/atomic_file.h"
#include "server/checkpoint/tokenizer.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kDocumentBytes = 2000;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Cut before the first line break at or after each 2000 bytes.
std::vector<std::string_view> Documents(std::string_view text) {
  std::vector<std::string_view> documents;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n', std::min(kDocumentBytes, text.size())), text.size());
    documents.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return documents;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: tokenizer_benchmark TOKENIZER_JSON TEXT_FILE [rounds]\n";
    return 2;
  }
  const auto json = induct::ReadFile(argv[1]);
  const auto text = induct::ReadFile(argv[2]);
  if (!json.ok() || !text.ok()) {
    std::cerr << json.status() << " " << text.status() << "\n";
    return 1;
  }
  const Clock::time_point load_start = Clock::now();
  const auto tokenizer = induct::checkpoint::Tokenizer::Parse(*json);
  const double load_seconds = SecondsSince(load_start);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  const std::vector<std::string_view> documents = Documents(*text);
  double best_seconds = 1e9;
  size_t ids = 0;
  for (int round = argc > 3 ? std::atoi(argv[3]) : 5; round > 0; --round) {
    ids = 0;
    const Clock::time_point start = Clock::now();
    for (const std::string_view document : documents) ids += (*tokenizer)->Encode(document).value().size();
    best_seconds = std::min(best_seconds, SecondsSince(start));
  }
  std::cout << "{\"load_seconds\": " << load_seconds
            << ", \"megabytes_per_second\": " << static_cast<double>(text->size()) / 1e6 / best_seconds
            << ", \"ids\": " << ids << "}\n";
  return 0;
}
