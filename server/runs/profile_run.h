// server/runs holds one file per kind of job: acquire models, make prompts, run the analysis, emit events and
// artifacts. Must not know: gRPC, protobuf, LibTorch, how a file is parsed.
//
// This header: the job of RunProfile.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/dtype.h"
#include "server/analysis/profile.h"
#include "server/jobs/scheduler.h"
#include "server/models/model_registry.h"
#include "server/runs/prompt_source.h"

namespace induct::runs {

// A validated request: every field is set and in range.
struct ProfileRequest {
  std::string model;
  DType dtype = DType::kFloat32;
  bool memory_saver = false;
  PromptRequest prompts;
  analysis::ProfileOptions options;
};

// A model as a run's events and metadata name it.
struct ModelUse {
  std::string file_name;  // its name in file names
  std::string source;     // as the user gave it
  std::string checkpoint_sha256;
  std::string architecture;
  DType dtype = DType::kFloat32;
  uint32_t n_layers = 0, n_heads = 0;
  double n_parameters = 0;
  bool streamed = false;
};

struct RunStarted {
  std::string device;  // as it calls itself
  ModelUse model;
  uint32_t n_prompts = 0;
  uint64_t n_tokens = 0;
  std::vector<std::string> warnings;
};

// Turns what a run says into the bytes of events and result files; implemented by server/service, which knows
// the contract. Safe for concurrent use.
class ProfileEncoder {
 public:
  virtual ~ProfileEncoder() = default;
  virtual std::string Preparing(const std::string& step) const = 0;
  virtual std::string Started(const RunStarted& started) const = 0;
  virtual std::string LayerScores(const std::string& model, uint32_t n_layers,
                                  const analysis::LayerScores& scores) const = 0;
  virtual std::string Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const = 0;
  // The finished event; `record` has the times.
  virtual std::string Finished(const std::string& model, const analysis::ProfileResult& result,
                               const jobs::JobRecord& record,
                               const std::vector<std::string>& warnings) const = 0;
  // profile_<model>.json.
  virtual absl::StatusOr<std::string> ProfileJson(const std::string& model,
                                                  const analysis::ProfileResult& result) const = 0;
};

// The slots of this run's passing events.
enum ProfileSlot : int { kPreparingSlot = 0, kProgressSlot = 1 };

// What every run of this server shares. All pointers must outlive the runs.
struct RunEnvironment {
  models::ModelRegistry* registry = nullptr;
  const ProfileEncoder* encoder = nullptr;
  std::vector<std::string> devices;  // resolved names; a job's device() is an index
};

std::unique_ptr<jobs::Work> NewProfileRun(ProfileRequest request, const RunEnvironment& environment);

}  // namespace induct::runs
