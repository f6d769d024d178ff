// What every reader of a job's events asks of them.
#pragma once

#include "induct/v1/job.pb.h"

namespace induct {

// Whether no event follows this one.
inline bool IsTerminal(const v1::JobEvent& event) {
  return event.has_finished() || event.has_failed() || event.has_cancelled();
}

}  // namespace induct
