// In which order queued jobs start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace induct::jobs {

// Owners take turns, whatever number of jobs each has queued; an owner new to the queue has its first turn
// after those already in it. Of one owner's jobs the one of highest priority comes first, then the oldest.
//
// A plain value: concurrent use needs a lock of the caller's.
class FairQueue {
 public:
  // REQUIRES: no job of this name is queued.
  void Push(const std::string& job, const std::string& owner, int32_t priority);
  // The next job, taken out; nullopt where the queue is empty.
  std::optional<std::string> Pop();
  // Takes a job out; false where it is not queued.
  bool Remove(const std::string& job);

  // All queued jobs in the order in which Pop would return them, were none to come or go.
  std::vector<std::string> Order() const;
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    int32_t priority;
    uint64_t age;  // smaller is older
    std::string job;

    bool operator<(const Entry& other) const {
      return std::tie(other.priority, age) < std::tie(priority, other.age);
    }
  };
  struct Place {
    std::string owner;
    Entry entry;
  };

  std::deque<std::string> turns_;                         // owners with queued jobs, the next first
  std::map<std::string, std::set<Entry>> jobs_of_owner_;  // best first; never an empty set
  std::map<std::string, Place> entries_;                  // by job
  uint64_t next_age_ = 0;
};

}  // namespace induct::jobs
