#include "server/metrics/process.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace induct::metrics {
namespace {

// "btime" of /proc/stat: when the machine started.
std::optional<double> BootSeconds() {
  std::ifstream file("/proc/stat");
  for (std::string name, line; file >> name && std::getline(file, line);) {
    double seconds = 0;
    if (name == "btime" && absl::SimpleAtod(line, &seconds)) return seconds;
  }
  return std::nullopt;
}

}  // namespace

// The 22nd field of /proc/self/stat is in ticks since then. The second one, the program's name in
// parentheses, may hold spaces.
std::optional<double> ProcessStartSeconds() {
  constexpr size_t kFieldAfterName = 22 - 3;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> fields =
      absl::StrSplit(line.substr(line.rfind(')') + 1), ' ', absl::SkipEmpty());
  const std::optional<double> boot = BootSeconds();
  double ticks = 0;
  if (!boot || fields.size() <= kFieldAfterName || !absl::SimpleAtod(fields[kFieldAfterName], &ticks))
    return std::nullopt;
  return *boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

// The second number of /proc/self/statm, in pages.
std::optional<int64_t> ProcessResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  if (!(file >> size >> resident)) return std::nullopt;
  return resident * sysconf(_SC_PAGESIZE);
}

std::optional<int64_t> ProcessOpenFds() {
  std::error_code error;
  const std::filesystem::directory_iterator fds("/proc/self/fd", error);
  if (error) return std::nullopt;
  return std::distance(begin(fds), end(fds)) - 1;  // without the one that lists them
}

}  // namespace induct::metrics
