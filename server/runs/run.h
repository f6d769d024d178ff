// server/runs holds one file per kind of job: acquire models, make prompts, run the analysis, emit events and
// artifacts. Must not know: gRPC, protobuf, LibTorch, how a file is parsed.
//
// This header: what the kinds share.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/dtype.h"
#include "server/analysis/causal.h"
#include "server/analysis/cross_size.h"
#include "server/analysis/lag_buckets.h"
#include "server/analysis/nulls.h"
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
  std::vector<ModelUse> models;
  uint32_t n_prompts = 0;  // measured by each model
  uint64_t n_tokens = 0;   // of all models
  std::vector<std::string> warnings;
};

// Two models of a cross-size run.
struct ModelPair {
  std::string model_a, model_b;  // file names
  analysis::ProfileComparison comparison;
};
struct CrossSizeResult {
  std::vector<std::string> models;  // file names
  std::vector<ModelPair> pairs;     // every two, in the models' order
};

// One head's pattern on one prompt; the probabilities are an artifact of their own.
struct PatternResult {
  engine::Head head;
  uint32_t prompt = 0;
  std::vector<int32_t> tokens;
  std::vector<std::string> token_texts;  // valid UTF-8; empty where the model has no tokenizer
  uint32_t n_bos = 0;
  std::vector<analysis::CopyOperation> operations;  // that the score kind reads in this prompt
};

// What a run of each kind found. Pointers are valid during the call that they are given to.
using RunResult =
    std::variant<const analysis::ProfileResult*, const CrossSizeResult*, const analysis::NullsResult*,
                 const analysis::CausalResult*, const analysis::LagBucketsResult*, const PatternResult*>;

// Turns what a run says into the bytes of events and result files; implemented by server/service, which knows
// the contract. Safe for concurrent use.
class RunEncoder {
 public:
  virtual ~RunEncoder() = default;
  virtual std::string Preparing(const models::PreparationStep& step) const = 0;
  virtual std::string Started(const RunStarted& started) const = 0;
  virtual std::string LayerScores(const std::string& model, uint32_t n_layers,
                                  const analysis::LayerScores& scores) const = 0;
  virtual std::string Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const = 0;
  // The finished event; `record` has the times. `model` is the file name of the model that the result is of.
  virtual std::string Finished(const std::string& model, const RunResult& result,
                               const jobs::JobRecord& record,
                               const std::vector<std::string>& warnings) const = 0;
  // The result's JSON file.
  virtual absl::StatusOr<std::string> Json(const std::string& model, const RunResult& result) const = 0;
};

// What every run of this server shares. All pointers must outlive the runs.
struct RunEnvironment {
  models::ModelRegistry* registry = nullptr;
  const RunEncoder* encoder = nullptr;
  std::vector<std::string> devices;  // resolved names; a job's device() is an index
  metrics::Recorder* recorder = metrics::NoRecorder();
};

// The kinds of runs. `environment` must outlive what they return.
std::unique_ptr<jobs::Work> NewProfileRun(RunRequest request, const RunEnvironment& environment);
std::unique_ptr<jobs::Work> NewCrossSizeRun(RunRequest request, const RunEnvironment& environment);
std::unique_ptr<jobs::Work> NewNullsRun(RunRequest request, const analysis::NullOptions& nulls,
                                        const RunEnvironment& environment);
std::unique_ptr<jobs::Work> NewLagBucketsRun(RunRequest request, std::vector<uint32_t> edges,
                                             const RunEnvironment& environment);
std::unique_ptr<jobs::Work> NewCausalRun(RunRequest request, const analysis::CausalOptions& causal,
                                         std::vector<GivenPrompt> control_prompts,
                                         const RunEnvironment& environment);
std::unique_ptr<jobs::Work> NewPatternRun(RunRequest request, engine::Head head, uint32_t prompt,
                                          const RunEnvironment& environment);

}  // namespace induct::runs
