#include "server/engine/host_memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace induct::engine {
namespace {

namespace fs = std::filesystem;

// The fields of a file of lines "name: 5 kB" or "name 5", without the colon and the unit.
std::map<std::string, int64_t> Fields(const fs::path& path) {
  std::map<std::string, int64_t> fields;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(": "), absl::SkipEmpty());
    int64_t value = 0;
    if (words.size() >= 2 && absl::SimpleAtoi(words[1], &value)) fields[words[0]] = value;
  }
  return fields;
}

// Of /proc/meminfo, which is in KiB.
HostMemory OfMachine(const fs::path& meminfo) {
  std::map<std::string, int64_t> kib = Fields(meminfo);
  const int64_t total = kib["MemTotal"], available = kib["MemAvailable"];
  return {.total = total * 1024, .used = available > 0 ? (total - available) * 1024 : 0};
}

// A file's one number; nothing for the word "max" or where there is no such file.
std::optional<int64_t> NumberIn(const fs::path& path) {
  std::ifstream file(path);
  std::string text;
  int64_t bytes = 0;
  if (!(file >> text) || !absl::SimpleAtoi(text, &bytes)) return std::nullopt;
  return bytes;
}

// What the files of a version of control groups are called.
struct GroupFiles {
  const char* limit;
  const char* used;
  const char* reclaimable;  // a field of memory.stat
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

int64_t UsedBy(const fs::path& group, const GroupFiles& files) {
  const int64_t used = NumberIn(group / files.used).value_or(0);
  return std::max<int64_t>(0, used - Fields(group / "memory.stat")[files.reclaimable]);
}

// The memory of the group with the lowest limit, of this one and those around it, where that is lower than
// `memory`'s. Inside a container the group's own path may not be there; what is mounted as the top is the
// container's then.
void Lower(const fs::path& top, const std::string& group, const GroupFiles& files, HostMemory& memory) {
  for (fs::path path = fs::path(group).relative_path();; path = path.parent_path()) {
    const std::optional<int64_t> limit = NumberIn(top / path / files.limit);
    if (limit && *limit < memory.total) memory = {.total = *limit, .used = UsedBy(top / path, files)};
    if (path.empty()) return;
  }
}

bool HasController(absl::string_view controllers, absl::string_view wanted) {
  const std::vector<absl::string_view> names = absl::StrSplit(controllers, ',');
  return std::find(names.begin(), names.end(), wanted) != names.end();
}

}  // namespace

HostMemory ReadHostMemory(const std::string& root) {
  HostMemory memory = OfMachine(root + "/proc/meminfo");
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // hierarchy:controllers:path
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const fs::path top = root + "/sys/fs/cgroup";
    if (fields[1].empty()) {
      Lower(top, fields[2], kVersion2, memory);
    } else if (HasController(fields[1], "memory")) {
      Lower(top / "memory", fields[2], kVersion1, memory);
    }
  }
  return memory;
}

}  // namespace induct::engine
