// Where the time of a pass goes, by LibTorch operation.
#pragma once

#include <cstdint>

namespace induct::engine {

// Counts every operation that the thread which made it begins, until it is destroyed: how often, and how long
// it took without the operations inside it. On a GPU that is the time to launch them. One at a time.
class OperationTimes {
 public:
  OperationTimes();
  ~OperationTimes();
  OperationTimes(const OperationTimes&) = delete;
  OperationTimes& operator=(const OperationTimes&) = delete;

  // A line for each operation, the longest first; those below 0.5 % of `seconds`, and what lies between
  // operations, in one line each.
  void Print(double seconds) const;

 private:
  uint64_t handle_;
};

}  // namespace induct::engine
