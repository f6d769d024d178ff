#include "server/jobs/fair_queue.h"

#include <algorithm>
#include <utility>

namespace induct::jobs {

void FairQueue::Push(const std::string& job, const std::string& owner, int32_t priority) {
  std::set<Entry>& jobs = jobs_of_owner_[owner];
  if (jobs.empty()) turns_.push_back(owner);
  Entry entry{.priority = priority, .age = next_age_++, .job = job};
  jobs.insert(entry);
  entries_[job] = {.owner = owner, .entry = std::move(entry)};
}

std::optional<std::string> FairQueue::Pop() {
  if (turns_.empty()) return std::nullopt;
  const std::string owner = turns_.front();
  std::string job = jobs_of_owner_[owner].begin()->job;
  if (jobs_of_owner_[owner].size() > 1) {
    turns_.pop_front();
    turns_.push_back(owner);
  }
  Remove(job);
  return job;
}

bool FairQueue::Remove(const std::string& job) {
  const auto found = entries_.find(job);
  if (found == entries_.end()) return false;
  const auto owned = jobs_of_owner_.find(found->second.owner);
  owned->second.erase(found->second.entry);
  if (owned->second.empty()) {
    turns_.erase(std::find(turns_.begin(), turns_.end(), owned->first));
    jobs_of_owner_.erase(owned);
  }
  entries_.erase(found);
  return true;
}

std::vector<std::string> FairQueue::Order() const {
  // One job of each owner a round, as each goes to the end of the turns after its own.
  std::vector<std::pair<std::set<Entry>::const_iterator, std::set<Entry>::const_iterator>> rest;
  for (const std::string& owner : turns_) {
    const std::set<Entry>& jobs = jobs_of_owner_.at(owner);
    rest.emplace_back(jobs.begin(), jobs.end());
  }
  std::vector<std::string> order;
  order.reserve(entries_.size());
  while (order.size() < entries_.size()) {
    for (auto& [next, end] : rest) {
      if (next != end) order.push_back((next++)->job);
    }
  }
  return order;
}

}  // namespace induct::jobs
