#include "server/runs/model_run.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/dtype.h"
#include "common/file_names.h"
#include "common/logging.h"
#include "common/status.h"
#include "server/models/model_name.h"

namespace induct::runs {
namespace {

// The slots of a run's passing events.
enum Slot : int { kPreparingSlot = 0, kProgressSlot = 1 };

constexpr char kJsonType[] = "application/json";

// Of the events that tell how far one step is.
constexpr absl::Duration kStepInterval = absl::Milliseconds(100);

// One model under two names, by an alias or a path.
absl::Status CheckDistinct(const std::vector<std::string>& names, const ModelFilesList& files) {
  for (size_t i = 0; i < files.size(); ++i) {
    const auto first = std::find(files.begin(), files.end(), files[i]) - files.begin();
    if (static_cast<size_t>(first) == i) continue;
    return InvalidField("models", absl::StrCat(names[static_cast<size_t>(first)], " and ", names[i],
                                               " are the same model; a comparison takes different ones"));
  }
  return absl::OkStatus();
}

uint64_t ShareOf(uint64_t number, double fraction) {
  return static_cast<uint64_t>(std::llround(fraction * static_cast<double>(number)));
}

Amount ShareOf(const Amount& amount, double fraction) {
  return {.prompts = ShareOf(amount.prompts, fraction), .tokens = ShareOf(amount.tokens, fraction)};
}

}  // namespace

std::vector<std::string> DistinctFileNames(const std::vector<std::string>& models) {
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const std::string& model : models) {
    const std::string plain = ModelFileName(model);
    std::string name = plain;
    for (int number = 2; !taken.insert(name).second; ++number) name = absl::StrCat(plain, "-", number);
    names.push_back(std::move(name));
  }
  return names;
}

absl::Status ModelRun::Prepare(jobs::JobContext& context) {
  device_ = environment_.devices.at(context.device());
  ModelFilesList files;
  for (const std::string& model : request_.models) {
    INDUCT_ASSIGN_OR_RETURN(files.emplace_back(),
                            environment_.registry->Open(model, OnStep(context), context.stop()));
  }
  INDUCT_RETURN_IF_ERROR(CheckDistinct(request_.models, files));
  Show(context, "making prompts");
  INDUCT_ASSIGN_OR_RETURN(std::vector<PromptSet> sets,
                          MakeSharedPrompts(request_.prompts, files, context.stop()));
  request_.prompts.given.clear();  // as large as the request: the tokenised prompts are enough
  const std::vector<std::string> names = DistinctFileNames(request_.models);
  models_.clear();
  for (size_t i = 0; i < files.size(); ++i) {
    RunModel& model = models_.emplace_back(
        RunModel{.source = request_.models[i],
                 .file_name = names[i],
                 .files = files[i],
                 .prompts = std::move(sets[i]),
                 .streamed = environment_.registry->AlwaysStreams(*files[i], HowToLoad())});
    // Here, not in Run: many prompts are much text, and the device need not wait for it.
    INDUCT_RETURN_IF_ERROR(
        WritePromptFile(PromptsFile(model.file_name), model.prompts.prompts, SaveTo(context)));
    Show(context, absl::StrCat("reading ", model.source));
    INDUCT_ASSIGN_OR_RETURN(model.sha256, model.files->Sha256());
  }
  INDUCT_RETURN_IF_ERROR(WritePromptTexts(models_.front().prompts.prompts, SaveTo(context)));
  INDUCT_RETURN_IF_ERROR(PrepareMore(context));
  return LoadWeights(0, models::WhenFull::kWait, context);
}

absl::Status ModelRun::PrepareMore(jobs::JobContext&) { return absl::OkStatus(); }

absl::StatusOr<std::string> ModelRun::Run(jobs::JobContext& context) {
  INDUCT_RETURN_IF_ERROR(ChooseLinear(context));
  INDUCT_RETURN_IF_ERROR(context.Emit(environment_.encoder->Started(Started(context))));
  return Measure(context);
}

engine::LoadOptions ModelRun::HowToLoad() const {
  return {.device = device_, .dtype = request_.dtype, .stream_layers = request_.memory_saver};
}

absl::Status ModelRun::LoadWeights(size_t index, models::WhenFull when_full, jobs::JobContext& context) {
  weights_.reset();  // before the next one takes memory
  RunModel& model = models_[index];
  INDUCT_ASSIGN_OR_RETURN(weights_, environment_.registry->Load(model.files, HowToLoad(), when_full,
                                                                OnStep(context), context.stop()));
  if (weights_->streamed() && !model.streamed) {  // after the started event, which could not know
    load_warnings_.push_back(absl::StrCat("the layers of ", model.source,
                                          " were streamed: there was no room beside the models in use"));
  }
  turn_ = index;
  return absl::OkStatus();
}

absl::StatusOr<engine::Model*> ModelRun::Weights(size_t index, jobs::JobContext& context) {
  environment_.recorder->ModelBegun(context.device(), models::WithoutRevision(models_[index].files->name()));
  if (index != turn_) {
    INDUCT_RETURN_IF_ERROR(LoadWeights(index, models::WhenFull::kStream, context));
    INDUCT_RETURN_IF_ERROR(ChooseLinear(context));
  }
  return &**weights_;
}

absl::Status ModelRun::ChooseLinear(jobs::JobContext& context) {
  const auto n_tokens = static_cast<int64_t>(ToMeasure(turn_).tokens);
  auto linear = (*weights_)->ChooseLinear(n_tokens, context.stop());
  INDUCT_RETURN_IF_ERROR(linear.status());
  linear_ = *std::move(linear);
  WarnOfSlowDtype();
  return absl::OkStatus();
}

void ModelRun::WarnOfSlowDtype() {
  const auto slow = std::find_if(linear_.begin(), linear_.end(),
                                 [](const engine::LinearUse& use) { return use.float32_gflops > 0; });
  if (slow == linear_.end()) return;
  load_warnings_.push_back(absl::StrFormat(
      "%s is slow on this processor: linear layers of %s run at %.0f GFLOP/s, in float32 at %.0f",
      DTypeName(request_.dtype), models_[turn_].source, slow->choice.gflops, slow->float32_gflops));
  static std::atomic_flag is_in_log;
  if (!is_in_log.test_and_set()) Log(LogLevel::kWarning, "server", load_warnings_.back());
}

analysis::LayerScoresSink ModelRun::OnLayer(size_t index, jobs::JobContext& context) {
  return [this, index, &context](const analysis::LayerScores& scores) {
    const RunModel& model = models_[index];
    ++layers_done_;
    environment_.recorder->LayerDone(context.device());
    return context.Emit(environment_.encoder->LayerScores(
        model.file_name, static_cast<uint32_t>(model.files->spec().n_layers), scores));
  };
}

engine::ProgressSink ModelRun::OnProgress(size_t index, jobs::JobContext& context) {
  return [this, index, all = ToMeasure(index), &context](double fraction) {
    Advance(index, all, fraction, context);
  };
}

Amount ModelRun::ToMeasure(size_t index) const {
  Amount amount;
  for (const analysis::Prompt& prompt : MeasuredPrompts(index)) {
    ++amount.prompts;
    amount.tokens += prompt.tokens.size();
  }
  return amount;
}

void ModelRun::Advance(size_t index, const Amount& all, double fraction, jobs::JobContext& context) {
  const double of_run = (static_cast<double>(index) + fraction) / static_cast<double>(models_.size());
  context.Show(kProgressSlot, environment_.encoder->Progress(of_run, layers_done_, TotalLayers()));
  // Differences of rounded shares, so that in the end they add up to the whole.
  const Amount before = std::exchange(models_[index].measured, ShareOf(all, fraction));
  const Amount& now = models_[index].measured;
  environment_.recorder->RunAdvanced(context.device(), of_run, now.prompts - before.prompts,
                                     now.tokens - before.tokens);
}

FileSink ModelRun::SaveTo(jobs::JobContext& context) const {
  return [&context](const std::string& name, const std::string& media_type, std::string bytes) {
    return context.PutArtifact(name, media_type, std::move(bytes));
  };
}

absl::StatusOr<EncodedResult> ModelRun::SaveProfile(size_t index, const analysis::ProfileResult& result,
                                                    jobs::JobContext& context) const {
  const std::string& name = models_[index].file_name;
  INDUCT_RETURN_IF_ERROR(WriteScoreFiles(name, result, SaveTo(context)));
  INDUCT_ASSIGN_OR_RETURN(EncodedResult encoded, environment_.encoder->Profile(name, result));
  INDUCT_RETURN_IF_ERROR(context.PutArtifact(ProfileFile(name), kJsonType, encoded.json));
  return encoded;
}

absl::StatusOr<std::string> ModelRun::SaveAndFinish(const std::string& name,
                                                    absl::StatusOr<EncodedResult> result,
                                                    const std::vector<std::string>& warnings,
                                                    jobs::JobContext& context) const {
  INDUCT_RETURN_IF_ERROR(result.status());
  INDUCT_RETURN_IF_ERROR(context.PutArtifact(name, kJsonType, std::move(result->json)));
  return Finish(*result, warnings, context);
}

std::string ModelRun::Finish(const EncodedResult& result, const std::vector<std::string>& warnings,
                             jobs::JobContext& context) const {
  std::vector<std::string> all = PromptWarnings();
  all.insert(all.end(), load_warnings_.begin(), load_warnings_.end());
  all.insert(all.end(), warnings.begin(), warnings.end());
  return environment_.encoder->Finished(result.message, context.record(), all);
}

void ModelRun::Show(jobs::JobContext& context, const std::string& step) const {
  context.Show(kPreparingSlot, environment_.encoder->Preparing({.what = step}));
}

models::StepSink ModelRun::OnStep(jobs::JobContext& context) const {
  return [this, &context, what = std::string(),
          shown = absl::InfinitePast()](const models::PreparationStep& step) mutable {
    const absl::Time now = absl::Now();
    if (step.what == what && now - shown < kStepInterval) return;
    what = step.what;
    shown = now;
    context.Show(kPreparingSlot, environment_.encoder->Preparing(step));
  };
}

std::vector<std::string> ModelRun::PromptWarnings() const {
  std::vector<std::string> warnings;
  for (const RunModel& model : models_)
    warnings.insert(warnings.end(), model.prompts.warnings.begin(), model.prompts.warnings.end());
  return warnings;
}

uint32_t ModelRun::TotalLayers() const {
  int64_t n_layers = 0;
  for (const RunModel& model : models_) n_layers += model.files->spec().n_layers;
  return static_cast<uint32_t>(n_layers);
}

RunStarted ModelRun::Started(const jobs::JobContext& context) const {
  RunStarted started{.device = engine::DeviceDescription(device_),
                     .device_index = context.device(),
                     .n_prompts = static_cast<uint32_t>(ToMeasure(0).prompts),
                     .warnings = PromptWarnings()};
  for (size_t i = 0; i < models_.size(); ++i) {
    const RunModel& model = models_[i];
    const DecoderSpec& spec = model.files->spec();
    started.models.push_back({.file_name = model.file_name,
                              .source = model.source,
                              .revision = model.files->revision(),
                              .checkpoint_sha256 = model.sha256,
                              .architecture = spec.architecture,
                              .dtype = request_.dtype,
                              .n_layers = static_cast<uint32_t>(spec.n_layers),
                              .n_heads = static_cast<uint32_t>(spec.n_heads),
                              .n_parameters = static_cast<double>(model.files->checkpoint().n_parameters()),
                              .streamed = model.streamed});
    if (i == turn_) started.models.back().linear = linear_;
    started.n_tokens += ToMeasure(i).tokens;
  }
  return started;
}

}  // namespace induct::runs
