// The course that runs of every kind take: open the models, make their prompts, load, measure, finish.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/runs/result_files.h"
#include "server/runs/run.h"

namespace induct::runs {

// Of prompts that are measured.
struct Amount {
  uint64_t prompts = 0;
  uint64_t tokens = 0;
};

// A model of a run.
struct RunModel {
  std::string source;     // as the user named it
  std::string file_name;  // its name in file names, unlike that of every other model of the run
  std::shared_ptr<const models::ModelFiles> files;
  std::string sha256;
  PromptSet prompts;
  bool streamed = false;  // its layers, from the checkpoint, whatever else is loaded
  Amount measured;        // so far
};

// Names for file names, in the models' order: where two would be the same, the later one gets "-2", "-3", ...
std::vector<std::string> DistinctFileNames(const std::vector<std::string>& models);

// A kind of run implements Measure, and PrepareMore where it has more to prepare than models and prompts.
class ModelRun : public jobs::Work {
 public:
  ModelRun(RunRequest request, const RunEnvironment& environment)
      : request_(std::move(request)), environment_(environment) {}

  absl::Status Prepare(jobs::JobContext& context) final;
  absl::StatusOr<std::string> Run(jobs::JobContext& context) final;

 protected:
  // Part of preparing, after the prompts were made: what needs files and tokenizers, but not the device.
  virtual absl::Status PrepareMore(jobs::JobContext& context);

  // The prompts of a prepared model that Measure reads.
  virtual std::span<const analysis::Prompt> MeasuredPrompts(size_t index) const {
    return models_[index].prompts.prompts;
  }

  // Measures, saves files, and returns the finished event.
  virtual absl::StatusOr<std::string> Measure(jobs::JobContext& context) = 0;

  const RunRequest& request() const { return request_; }
  // REQUIRES of the three below: the models are prepared.
  const std::deque<RunModel>& models() const { return models_; }
  // A model's weights, from its turn until the next model's: later models are not loaded before their turn.
  // By then the device is held, and no room is waited for: the layers are streamed instead. Tells watchers
  // where it takes long.
  absl::StatusOr<engine::Model*> Weights(size_t index, jobs::JobContext& context);
  // Frees a model's prompts: they are in its artifact.
  void ForgetPrompts(size_t index) { models_[index].prompts.prompts = {}; }

  // Sinks of one model's analysis. A pass that is the first of several covers a share of the progress.
  analysis::LayerScoresSink OnLayer(size_t index, jobs::JobContext& context);
  engine::ProgressSink OnProgress(size_t index, jobs::JobContext& context);

  FileSink SaveTo(jobs::JobContext& context) const;
  // The files of a model's profile: arrays and JSON. Returns what Finish takes.
  absl::StatusOr<EncodedResult> SaveProfile(size_t index, const analysis::ProfileResult& result,
                                            jobs::JobContext& context) const;
  // Saves the result's JSON as the file `name`, and returns the finished event.
  absl::StatusOr<std::string> SaveAndFinish(const std::string& name, absl::StatusOr<EncodedResult> result,
                                            const std::vector<std::string>& warnings,
                                            jobs::JobContext& context) const;
  // The finished event, with the warnings of prompts and those given.
  std::string Finish(const EncodedResult& result, const std::vector<std::string>& warnings,
                     jobs::JobContext& context) const;

  void Show(jobs::JobContext& context, const std::string& step) const;

 private:
  // All that is to be measured by a model. REQUIRES: its prompts are not forgotten yet.
  Amount ToMeasure(size_t index) const;
  // Shows and records that `fraction` of what a model measures, which is `all`, is done.
  void Advance(size_t index, const Amount& all, double fraction, jobs::JobContext& context);
  absl::Status LoadWeights(size_t index, models::WhenFull when_full, jobs::JobContext& context);
  // Shows steps of the registry, but not every percent.
  models::StepSink OnStep(jobs::JobContext& context) const;
  engine::LoadOptions HowToLoad() const;
  // What the linear layers of the model whose turn it is use, settled if need be.
  absl::Status ChooseLinear(jobs::JobContext& context);
  // Adds a warning where float32 would be faster; the first of a process also goes into the log.
  void WarnOfSlowDtype();
  RunStarted Started(const jobs::JobContext& context) const;
  std::vector<std::string> PromptWarnings() const;
  uint32_t TotalLayers() const;

  RunRequest request_;
  const RunEnvironment& environment_;

  // Set by Prepare.
  std::string device_;
  std::deque<RunModel> models_;
  std::optional<models::ModelHandle> weights_;  // of the model whose turn it is
  size_t turn_ = 0;
  std::vector<engine::LinearUse> linear_;  // of its layers
  std::vector<std::string> load_warnings_;
  uint32_t layers_done_ = 0;  // of all models
};

}  // namespace induct::runs
