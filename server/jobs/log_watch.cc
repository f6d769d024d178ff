#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/jobs/watch_list.h"

namespace induct::jobs {
namespace {

bool IsLast(EventType type) {
  return type == EventType::kFinished || type == EventType::kFailed || type == EventType::kCancelled;
}

// Reads a job's log from the store, page by page after the last sequence read, so that a slow reader holds
// nothing but its own place in the log.
class LogWatch final : public Watch {
 public:
  LogWatch(JobStore* store, std::string job, uint64_t after_sequence, std::shared_ptr<WatchList> list,
           const std::string& watcher, std::function<void()> wake)
      : store_(store),
        job_(std::move(job)),
        list_(std::move(list)),
        subscriber_(list_->Subscribe(watcher, std::move(wake))),
        last_sequence_(after_sequence) {}
  ~LogWatch() override { list_->Unsubscribe(subscriber_); }

  absl::StatusOr<std::vector<StoredEvent>> ReadPage(size_t max_bytes) override {
    // Asked before reading: a log that had ended by then is read to its end when the page is empty.
    const std::optional<absl::Status> ended = list_->ended();
    INDUCT_ASSIGN_OR_RETURN(std::vector<StoredEvent> page,
                            store_->ReadEvents(job_, last_sequence_, max_bytes));
    if (!page.empty()) {
      last_sequence_ = page.back().sequence;
      read_last_ = IsLast(page.back().type);
    } else if (ended && !read_last_) {
      INDUCT_RETURN_IF_ERROR(*ended);
      return absl::OutOfRangeError(absl::StrCat(job_, " has ended and has no event after ", last_sequence_));
    }
    return page;
  }

  std::vector<PassingEvent> TakePassing() override { return list_->TakePassing(subscriber_); }

 private:
  JobStore* const store_;
  const std::string job_;
  const std::shared_ptr<WatchList> list_;
  WatchList::Subscriber* const subscriber_;

  uint64_t last_sequence_;
  bool read_last_ = false;
};

}  // namespace

std::unique_ptr<Watch> NewLogWatch(JobStore* store, std::string job, uint64_t after_sequence,
                                   std::shared_ptr<WatchList> list, const std::string& watcher,
                                   std::function<void()> wake) {
  return std::make_unique<LogWatch>(store, std::move(job), after_sequence, std::move(list), watcher,
                                    std::move(wake));
}

}  // namespace induct::jobs
