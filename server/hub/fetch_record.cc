#include "server/hub/fetch_record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/atomic_file.h"
#include "common/status.h"
#include "server/hub/repo_revision.h"

namespace induct::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxRecordBytes = size_t{8} << 20;
constexpr mode_t kRecordMode = 0664;  // for groups that share a cache
constexpr char kBegun[] = "begun", kFile[] = "file";

std::string RecordFolder(const RepoCache& cache) { return cache.folder() + "/.induct"; }

// Of the link itself; -1 where there is none.
int64_t LinkTime(const std::string& path) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) return -1;
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

absl::Time ChangeTime(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 ? absl::TimeFromTimespec(info.st_mtim) : absl::InfinitePast();
}

}  // namespace

FetchRecord::FetchRecord(const RepoCache& cache, const std::string& commit)
    : path_(absl::StrCat(RecordFolder(cache), "/", commit)), snapshot_(cache.SnapshotPath(commit)) {}

absl::StatusOr<std::unique_ptr<FileLock>> FetchRecord::Use(const std::stop_token& stop) const {
  INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, FileLock::AcquireShared(path_, stop));
  if (lock != nullptr) utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
  return lock;
}

absl::StatusOr<std::unique_ptr<FileLock>> FetchRecord::Begin(const std::stop_token& stop) const {
  std::error_code error;
  fs::create_directories(fs::path(path_).parent_path(), error);
  while (true) {
    const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kRecordMode);
    if (fd >= 0) close(fd);
    INDUCT_ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, Use(stop));
    // It may have been removed again before it was locked.
    if (lock != nullptr || fd < 0) return lock;
  }
}

void FetchRecord::NoteBegun(const std::string& etag) const { Append(absl::StrCat(kBegun, " ", etag, "\n")); }

void FetchRecord::NoteFile(const std::string& etag, const std::string& name) const {
  const int64_t time = LinkTime(absl::StrCat(snapshot_, "/", name));
  Append(absl::StrCat(kFile, " ", etag, " ", time, " ", name, "\n"));
}

// One write, so that lines of several processes do not mix; what is cut off is no line.
void FetchRecord::Append(const std::string& line) const {
  const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, line.data(), line.size());
  close(fd);
}

FetchRecord::Facts FetchRecord::Read() const {
  Facts facts{.last_use = ChangeTime(path_)};
  const absl::StatusOr<std::string> text = ReadFile(path_, kMaxRecordBytes);
  if (!text.ok()) return facts;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() < 2 || !IsPlainFileName(words[1])) continue;
    if (words[0] == kBegun && words.size() == 2) {
      facts.blobs.insert(words[1]);
      facts.begun.insert(words[1]);
    }
    int64_t time = 0;
    if (words[0] != kFile || words.size() != 4 || !absl::SimpleAtoi(words[2], &time)) continue;
    facts.blobs.insert(words[1]);
    const bool is_the_same =
        IsPlainFileName(words[3]) && LinkTime(absl::StrCat(snapshot_, "/", words[3])) == time;
    if (is_the_same) facts.files.insert(words[3]);
  }
  std::error_code error;
  facts.snapshot_is_ours = true;
  for (fs::directory_iterator it(snapshot_, error), end; !error && it != end; it.increment(error))
    facts.snapshot_is_ours &= facts.files.contains(it->path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory) facts.snapshot_is_ours = false;
  return facts;
}

std::vector<std::string> RecordedCommits(const RepoCache& cache) {
  std::vector<std::string> commits;
  std::error_code error;
  for (fs::directory_iterator it(RecordFolder(cache), error), end; !error && it != end; it.increment(error)) {
    if (const std::string name = it->path().filename().string(); IsCommit(name)) commits.push_back(name);
  }
  std::ranges::sort(commits);
  return commits;
}

}  // namespace induct::hub
