// The metrics of an ablation: how they are called, and where they stand in the messages that hold all of
// them.
#pragma once

#include "induct/v1/causal.pb.h"

namespace induct::client {

struct AblationMetric {
  const char* word;    // "copy_nll"
  const char* title;   // "copy NLL"
  const char* unit;    // of the metric
  const char* change;  // what a delta is
  bool (v1::AblationDelta::*has_delta)() const;
  const v1::IntervalEstimate& (v1::AblationDelta::*delta)() const;
  double (v1::AblationMetrics::*baseline)() const;
  bool (v1::AblationDeltaMean::*has_mean)() const;
  double (v1::AblationDeltaMean::*mean)() const;
  bool (v1::ControlArm::*has_p)() const;  // null, as the next: not tested
  double (v1::ControlArm::*p)() const;
};

inline constexpr AblationMetric kAblationMetrics[] = {
    {"copy_accuracy", "copy accuracy", "share of predictable positions", "change of the share that is right",
     &v1::AblationDelta::has_copy_accuracy, &v1::AblationDelta::copy_accuracy,
     &v1::AblationMetrics::copy_accuracy, &v1::AblationDeltaMean::has_copy_accuracy,
     &v1::AblationDeltaMean::copy_accuracy, &v1::ControlArm::has_p_copy_accuracy,
     &v1::ControlArm::p_copy_accuracy},
    {"copy_nll", "copy NLL", "nats", "change in nats", &v1::AblationDelta::has_copy_nll,
     &v1::AblationDelta::copy_nll, &v1::AblationMetrics::copy_nll, &v1::AblationDeltaMean::has_copy_nll,
     &v1::AblationDeltaMean::copy_nll, &v1::ControlArm::has_p_copy_nll, &v1::ControlArm::p_copy_nll},
    {"other_nll", "other NLL", "nats", "change in nats", &v1::AblationDelta::has_other_nll,
     &v1::AblationDelta::other_nll, &v1::AblationMetrics::other_nll, &v1::AblationDeltaMean::has_other_nll,
     &v1::AblationDeltaMean::other_nll, nullptr, nullptr},
    {"control_nll", "control NLL", "nats", "change in nats", &v1::AblationDelta::has_control_nll,
     &v1::AblationDelta::control_nll, &v1::AblationMetrics::control_nll,
     &v1::AblationDeltaMean::has_control_nll, &v1::AblationDeltaMean::control_nll, nullptr, nullptr}};

}  // namespace induct::client
