// How things stand at one moment, as families of Prometheus's library.
#pragma once

#include <prometheus/metric_family.h>

#include <optional>
#include <string>
#include <vector>

#include "server/metrics/device_activity.h"
#include "server/metrics/metrics.h"

namespace induct::metrics {

// `states` are those of `devices`, one for each.
std::vector<prometheus::MetricFamily> StandingFamilies(const Sample& sample,
                                                       const std::vector<std::string>& devices,
                                                       const std::vector<DeviceActivity::State>& states);

// Those of the process, which have the names that all programs give them.
std::vector<prometheus::MetricFamily> ProcessFamilies(std::optional<double> start_seconds);

}  // namespace induct::metrics
