#include "server/hub/file_fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/hub/content_check.h"
#include "server/hub/fetch_record.h"
#include "server/hub/file_lock.h"

namespace induct::hub {
namespace {

constexpr uint64_t kMaxUnsizedBytes = uint64_t{256} << 20;  // of a file whose size the hub does not say
constexpr uint64_t kProgressThatCounts = uint64_t{1} << 20;
constexpr uint64_t kWritebackBytes = uint64_t{32} << 20;
constexpr int kRounds = 2;  // wrong bytes are fetched once more from the start

uint64_t SizeOnDisk(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? static_cast<uint64_t>(info.st_size) : 0;
}

// Of an open file, whatever became of its name.
uint64_t FileSize(int fd) {
  struct stat info = {};
  return fstat(fd, &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
}

bool BlobIsThere(const RepoCache& cache, const RemoteFile& file) {
  const std::string path = cache.BlobPath(file.etag);
  return access(path.c_str(), F_OK) == 0 && (!file.size || SizeOnDisk(path) == *file.size);
}

absl::Status Truncate(int fd, const std::string& path) {
  return ftruncate(fd, 0) == 0 ? absl::OkStatus() : CacheError(errno, "write", path);
}

// Writes a response to a file, each byte at its own place: if two processes ever write the same blob at the
// same time (on a file system without locks), they write the same.
class FileSink : public ResponseSink {
 public:
  FileSink(int fd, const std::string& path, uint64_t offset, const RemoteFile& file, ProgressReport& progress,
           metrics::Recorder& recorder)
      : fd_(fd), path_(path), file_(file), progress_(progress), recorder_(recorder), position_(offset) {}

  uint64_t position() const { return position_; }

  absl::Status OnHead(const HttpResponse& head) override {
    if (head.status == 206) return CheckRange(head);
    position_ = 0;
    return Truncate(fd_, path_);
  }

  absl::Status OnBody(std::string_view bytes) override {
    recorder_.BytesDownloaded(bytes.size());
    if (position_ + bytes.size() > file_.size.value_or(kMaxUnsizedBytes)) {
      return absl::DataLossError(absl::StrCat("more bytes came than the ",
                                              file_.size.value_or(kMaxUnsizedBytes),
                                              file_.size ? " that the hub announces" : " that are allowed"));
    }
    INDUCT_RETURN_IF_ERROR(Write(bytes));
    progress_.AtByte(position_);
    return absl::OkStatus();
  }

 private:
  // "bytes 100-199/200"
  absl::Status CheckRange(const HttpResponse& head) const {
    const std::string range = head.Header("content-range");
    if (absl::StartsWith(range, absl::StrCat("bytes ", position_, "-"))) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat("bytes from ", position_, " on were asked for, and '", range, "' came"));
  }

  absl::Status Write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(position_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return CacheError(errno, "write", path_);
      StartWriteback(static_cast<uint64_t>(n));
      position_ += static_cast<uint64_t>(n);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }

  // Lets the disk begin now, so that the flush at the end of a large file takes no minutes.
  void StartWriteback(uint64_t n) {
    const uint64_t done = position_ / kWritebackBytes;
    if ((position_ + n) / kWritebackBytes == done) return;
    sync_file_range(fd_, static_cast<off_t>(done * kWritebackBytes), kWritebackBytes, SYNC_FILE_RANGE_WRITE);
  }

  const int fd_;
  const std::string& path_;
  const RemoteFile& file_;
  ProgressReport& progress_;
  metrics::Recorder& recorder_;
  uint64_t position_;
};

// Gives the downloaded file its final name; on a file system without locks another process may have done so.
absl::Status Publish(int fd, const std::string& incomplete, const std::string& blob) {
  if (fsync(fd) != 0) return CacheError(errno, "flush", incomplete);
  if (rename(incomplete.c_str(), blob.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  if (error != ENOENT || access(blob.c_str(), F_OK) != 0) return CacheError(error, "write", blob);
  return absl::OkStatus();
}

}  // namespace

FileFetcher::FileFetcher(HubClient& client, const RepoCache& cache, const HubOptions& options,
                         ProgressReport& progress, std::stop_token stop)
    : client_(client), cache_(cache), options_(options), progress_(progress), stop_(std::move(stop)) {}

uint64_t FileFetcher::BytesThere(const RemoteFile& file) const {
  const std::string blob = cache_.BlobPath(file.etag);
  return SizeOnDisk(BlobIsThere(cache_, file) ? blob : cache_.IncompletePath(file.etag));
}

absl::Status FileFetcher::Fetch(const std::string& commit, const RemoteFile& file) {
  progress_.BeginFile(file.name);
  INDUCT_RETURN_IF_ERROR(cache_.MakeBlobFolders());
  const auto on_wait = [&] { progress_.Note("waiting for another process that downloads it"); };
  INDUCT_ASSIGN_OR_RETURN(const auto lock, FileLock::Acquire(cache_.LockPath(file.etag), on_wait, stop_));
  if (!cache_.Holds(commit, file.name)) {
    const FetchRecord record(cache_, commit);
    const bool is_new = !BlobIsThere(cache_, file);
    if (is_new && access(cache_.IncompletePath(file.etag).c_str(), F_OK) != 0) record.NoteBegun(file.etag);
    if (is_new) INDUCT_RETURN_IF_ERROR(DownloadBlob(commit, file));
    INDUCT_RETURN_IF_ERROR(cache_.AddToSnapshot(file.etag, commit, file.name, options_.use_symlinks, is_new));
    record.NoteFile(file.etag, file.name);
  }
  progress_.EndFile(SizeOnDisk(cache_.FilePath(commit, file.name)));
  return absl::OkStatus();
}

absl::Status FileFetcher::DownloadBlob(const std::string& commit, const RemoteFile& file) {
  const std::string blob = cache_.BlobPath(file.etag), path = cache_.IncompletePath(file.etag);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return CacheError(errno, "write", path);
  const absl::Cleanup closer = [fd] { close(fd); };

  absl::Status status;
  for (int round = 0; round < kRounds; ++round) {
    status = Receive(fd, path, commit, file);
    if (status.ok()) return Publish(fd, path, blob);
    if (!absl::IsDataLoss(status)) return status;
    INDUCT_RETURN_IF_ERROR(Truncate(fd, path));
  }
  unlink(path.c_str());
  return WithReason(
      absl::DataLossError(absl::StrCat(file.name, ": twice not what the hub announces: ", status.message())),
      reason::kHubWrongContent);
}

absl::Status FileFetcher::Receive(int fd, const std::string& path, const std::string& commit,
                                  const RemoteFile& file) {
  for (Retry retry = NewRetry();;) {
    const uint64_t before = FileSize(fd);
    // Without a size nobody knows whether what is there is all; then the file is fetched from the start.
    const bool is_whole = file.size && before == *file.size;
    absl::Status status;
    if (!is_whole) status = ReceiveOnce(fd, path, commit, file, file.size ? before : 0);
    if (status.ok()) return CheckContent(fd, file.size.value_or(FileSize(fd)), file.etag, stop_);
    if (FileSize(fd) >= before + kProgressThatCounts) retry.Progressed();
    INDUCT_RETURN_IF_ERROR(retry.WaitAfter(status));
  }
}

absl::Status FileFetcher::ReceiveOnce(int fd, const std::string& path, const std::string& commit,
                                      const RemoteFile& file, uint64_t offset) {
  FileSink sink(fd, path, offset, file, progress_, *options_.recorder);
  INDUCT_ASSIGN_OR_RETURN(const HttpResponse response, client_.Get(commit, file.name, offset, sink));
  if (response.status == 416) {
    return absl::DataLossError(
        absl::StrCat("the hub has no byte after ", offset, " of ", file.size.value_or(0)));
  }
  if (file.size && sink.position() == *file.size) return absl::OkStatus();
  if (response.cut) return TryAgainError(response.cut_reason);
  if (!file.size) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(sink.position(), " bytes came of the ", *file.size, " that the hub announces"));
}

Retry FileFetcher::NewRetry() {
  return Retry(
      options_.retry, [this](const std::string& note) { progress_.Note(note); }, stop_);
}

}  // namespace induct::hub
