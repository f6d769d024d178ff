#include "server/metrics/recorder.h"

namespace induct::metrics {

Recorder* NoRecorder() {
  static Recorder nobody;
  return &nobody;
}

}  // namespace induct::metrics
