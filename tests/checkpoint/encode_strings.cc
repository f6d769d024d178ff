// For tokenizer_peer_test.py: encode_strings TOKENIZER_JSON reads JSON strings, one a line, and writes for
// each
// {"ids": [...], "decoded": "..."} with U+FFFD for what is not UTF-8 in the decoded bytes, or {"error":
// "..."}.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/atomic_file.h"
#include "server/checkpoint/tokenizer.h"

int main(int argc, char** argv) {
  using nlohmann::json;
  if (argc != 2) {
    std::cerr << "usage: encode_strings TOKENIZER_JSON < STRINGS\n";
    return 2;
  }
  const auto text = induct::ReadFile(argv[1]);
  if (!text.ok()) {
    std::cerr << text.status() << "\n";
    return 1;
  }
  const auto tokenizer = induct::checkpoint::Tokenizer::Parse(*text);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    json answer;
    const auto ids = (*tokenizer)->Encode(json::parse(line).get<std::string>());
    if (ids.ok()) {
      answer = {{"ids", *ids}, {"decoded", (*tokenizer)->Decode(*ids)}};
    } else {
      answer = {{"error", ids.status().ToString()}};
    }
    std::cout << answer.dump(-1, ' ', true, json::error_handler_t::replace) << "\n";
  }
  return 0;
}
