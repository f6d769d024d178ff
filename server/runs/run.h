// server/runs holds one file per kind of job: acquire models, make prompts, run the analysis, emit events and
// artifacts. Must not know: gRPC, protobuf, LibTorch, how a file is parsed.
//
// This header: what the kinds share.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/dtype.h"
#include "server/analysis/profile.h"
#include "server/jobs/scheduler.h"
#include "server/metrics/recorder.h"
#include "server/models/model_registry.h"
#include "server/runs/prompt_source.h"

namespace induct::runs {

// The profile that every analysis begins with, validated: every field is set and in range.
struct RunRequest {
  std::vector<std::string> models;  // as the user named them; at least one, no two the same
  DType dtype = DType::kFloat32;
  bool memory_saver = false;
  PromptRequest prompts;
  analysis::ProfileOptions options;
};

// A model as a run's events and metadata name it.
struct ModelUse {
  std::string file_name;  // its name in file names
  std::string source;     // as the user gave it
  std::string revision;   // the commit of a model of the hub; empty for a folder
  std::string checkpoint_sha256;
  std::string architecture;
  DType dtype = DType::kFloat32;
  uint32_t n_layers = 0, n_heads = 0;
  double n_parameters = 0;
  bool streamed = false;
  std::vector<engine::LinearUse> linear;  // of the run's first model, where they are settled
};

struct RunStarted {
  std::string device;  // as it calls itself
  int device_index = 0;
  std::vector<ModelUse> models;
  uint32_t n_prompts = 0;  // measured by each model
  uint64_t n_tokens = 0;   // of all models
  std::vector<std::string> warnings;
};

// A result in the contract's forms.
struct EncodedResult {
  std::string json;     // of its file
  std::string message;  // opaque; what RunEncoder::Finished takes
};

// Encodes what a kind of run finds; `model` is the file name of the model that it is of. Given to each run by
// server/service, which knows the contract.
template <typename Result>
using ResultEncoder =
    std::function<absl::StatusOr<EncodedResult>(const std::string& model, const Result& result)>;

// Turns what every kind of run says into the bytes of events and files; implemented by server/service, which
// knows the contract. Safe for concurrent use.
class RunEncoder {
 public:
  virtual ~RunEncoder() = default;
  virtual std::string Preparing(const models::PreparationStep& step) const = 0;
  virtual std::string Started(const RunStarted& started) const = 0;
  virtual std::string LayerScores(const std::string& model, uint32_t n_layers,
                                  const analysis::LayerScores& scores) const = 0;
  virtual std::string Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const = 0;
  // The finished event of an encoded result; `record` has the times.
  virtual std::string Finished(const std::string& result_message, const jobs::JobRecord& record,
                               const std::vector<std::string>& warnings) const = 0;
  // A profile, which several kinds of runs save; as a ResultEncoder does.
  virtual absl::StatusOr<EncodedResult> Profile(const std::string& model,
                                                const analysis::ProfileResult& result) const = 0;
};

// What every run of this server shares. All pointers must outlive the runs.
struct RunEnvironment {
  models::ModelRegistry* registry = nullptr;
  const RunEncoder* encoder = nullptr;
  std::vector<std::string> devices;  // resolved names; a job's device() is an index
  metrics::Recorder* recorder = metrics::NoRecorder();
};

}  // namespace induct::runs
