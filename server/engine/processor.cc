#include "server/engine/processor.h"

#include <fstream>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace induct::engine {

std::string ProcessorDescription(const std::string& cpuinfo) {
  std::map<std::string, std::string> fields;  // of the first processor: "model name : AMD EPYC"
  std::ifstream file(cpuinfo);
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const absl::string_view text = line;
    fields.emplace(absl::StripAsciiWhitespace(text.substr(0, colon)),
                   absl::StripAsciiWhitespace(text.substr(colon + 1)));
  }
  if (!fields.contains("model name")) return "unknown processor";
  return absl::StrCat(fields["model name"], ", family ", fields["cpu family"], " model ", fields["model"]);
}

}  // namespace induct::engine
