// The words that generated prompts are made of. Their order is part of what a seed means: append only.
#include <string>
#include <string_view>
#include <vector>

#include "server/analysis/prompts.h"

namespace induct::analysis {
namespace {

std::vector<std::string> Letters() {
  std::vector<std::string> letters;
  for (const char first : {'A', 'a'}) {
    for (int i = 0; i < 26; ++i) letters.emplace_back(1, static_cast<char>(first + i));
  }
  return letters;
}

// The first 48 are those of the demo models' tokenizer; all are one token, with a leading space, in those of
// GPT-2, GPT-NeoX and Qwen 2.5, so that the common lag of 32 works with them.
std::vector<std::string> Names() {
  return {"Adam",  "Alice",  "Amanda", "Amy",    "Andrew", "Anna",  "Ben",   "Betty",  "Bob",    "Brian",
          "Carol", "Claire", "Clara",  "Daniel", "David",  "Donna", "Emily", "Emma",   "Eric",   "Eve",
          "Frank", "Grace",  "Henry",  "Jack",   "James",  "Jane",  "John",  "Joseph", "Joshua", "Julia",
          "Karen", "Kate",   "Kevin",  "Larry",  "Leo",    "Linda", "Lisa",  "Lucy",   "Mark",   "Mary",
          "Max",   "Paul",   "Rose",   "Ruth",   "Ryan",   "Sam",   "Sarah", "Tom",    "Ahmed",  "Ali",
          "Ana",   "Carlos", "Diego",  "Erik",   "Hans",   "Ivan",  "Juan",  "Luis",   "Maria",  "Mario",
          "Nina",  "Omar",   "Pierre", "Wei"};
}

}  // namespace

const std::vector<std::string>& TaskWords(std::string_view task) {
  static const std::vector<std::string> letters = Letters();
  static const std::vector<std::string> names = Names();
  static const std::vector<std::string> none;
  if (task == "ABAB") return letters;
  if (task == "NAMES") return names;
  return none;
}

}  // namespace induct::analysis
