#include "server/engine/host_memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace induct::engine {
namespace {

namespace fs = std::filesystem;

// The "MemTotal" of /proc/meminfo, which is in KiB.
std::optional<int64_t> MachineBytes(const fs::path& meminfo) {
  std::ifstream file(meminfo);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kib = 0;
    if (words.size() >= 2 && words[0] == "MemTotal:" && absl::SimpleAtoi(words[1], &kib)) return kib * 1024;
  }
  return std::nullopt;
}

// A file's one number; nothing for the word "max" or where there is no such file.
std::optional<int64_t> Limit(const fs::path& path) {
  std::ifstream file(path);
  std::string text;
  int64_t bytes = 0;
  if (!(file >> text) || !absl::SimpleAtoi(text, &bytes)) return std::nullopt;
  return bytes;
}

// The lowest limit of a group and the groups around it. Inside a container the group's own path may not be
// there; what is mounted as the top is the container's then.
int64_t LowestLimit(const fs::path& top, const std::string& group, const char* file, int64_t bytes) {
  for (fs::path path = fs::path(group).relative_path();; path = path.parent_path()) {
    bytes = std::min(bytes, Limit(top / path / file).value_or(bytes));
    if (path.empty()) return bytes;
  }
}

bool HasController(absl::string_view controllers, absl::string_view wanted) {
  const std::vector<absl::string_view> names = absl::StrSplit(controllers, ',');
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

}  // namespace

int64_t HostMemoryBytes(const std::string& root) {
  const std::optional<int64_t> machine = MachineBytes(root + "/proc/meminfo");
  if (!machine) return 0;
  int64_t bytes = *machine;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // hierarchy:controllers:path
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const fs::path top = root + "/sys/fs/cgroup";
    if (fields[1].empty()) {
      bytes = LowestLimit(top, fields[2], "memory.max", bytes);
    } else if (HasController(fields[1], "memory")) {
      bytes = LowestLimit(top / "memory", fields[2], "memory.limit_in_bytes", bytes);
    }
  }
  return bytes;
}

}  // namespace induct::engine
