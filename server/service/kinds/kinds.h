// The kinds of jobs, which kinds.cc lists.
#pragma once

#include "server/service/job_kind.h"

namespace induct::service {

extern const JobKind kProfileKind, kCrossSizeKind, kNullsKind, kCausalKind, kLagBucketsKind, kPatternKind,
    kTargetsKind;

}  // namespace induct::service
