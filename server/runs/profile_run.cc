#include "server/runs/profile_run.h"

#include "absl/strings/str_cat.h"
#include "common/file_names.h"
#include "common/status.h"
#include "server/runs/profile_files.h"

namespace induct::runs {
namespace {

class ProfileRun : public jobs::Work {
 public:
  ProfileRun(ProfileRequest request, const RunEnvironment& environment)
      : request_(std::move(request)), environment_(environment), file_name_(ModelFileName(request_.model)) {}

  absl::Status Prepare(jobs::JobContext& context) override {
    device_ = environment_.devices.at(context.device());
    Show(context, absl::StrCat("opening ", request_.model));
    INDUCT_ASSIGN_OR_RETURN(files_, environment_.registry->Open(request_.model));
    Show(context, "making prompts");
    INDUCT_ASSIGN_OR_RETURN(prompts_, MakePrompts(request_.prompts, *files_, context.stop()));
    request_.prompts.given.clear();  // as large as the request: the tokenised prompts are enough
    // Here, not in Run: many prompts are much text, and the device need not wait for it.
    INDUCT_RETURN_IF_ERROR(WritePromptFiles(file_name_, prompts_.prompts, SaveTo(context)));
    Show(context, absl::StrCat("reading ", request_.model));
    INDUCT_ASSIGN_OR_RETURN(sha256_, files_->Sha256());
    Show(context, absl::StrCat("loading ", request_.model));
    const engine::LoadOptions options{
        .device = device_, .dtype = request_.dtype, .stream_layers = request_.memory_saver};
    INDUCT_ASSIGN_OR_RETURN(model_, environment_.registry->Load(files_, options, context.stop()));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Run(jobs::JobContext& context) override {
    INDUCT_RETURN_IF_ERROR(context.Emit(environment_.encoder->Started(Started())));
    INDUCT_ASSIGN_OR_RETURN(const analysis::ProfileResult result, Measure(context));
    const FileSink save = SaveTo(context);
    INDUCT_RETURN_IF_ERROR(WriteScoreFiles(file_name_, result, save));
    INDUCT_ASSIGN_OR_RETURN(std::string json, environment_.encoder->ProfileJson(file_name_, result));
    INDUCT_RETURN_IF_ERROR(save(ProfileFile(file_name_), "application/json", std::move(json)));
    std::vector<std::string> warnings = prompts_.warnings;
    warnings.insert(warnings.end(), result.warnings.begin(), result.warnings.end());
    return environment_.encoder->Finished(file_name_, result, context.record(), warnings);
  }

 private:
  static FileSink SaveTo(jobs::JobContext& context) {
    return [&context](const std::string& name, const std::string& media_type, std::string bytes) {
      return context.PutArtifact(name, media_type, std::move(bytes));
    };
  }

  void Show(jobs::JobContext& context, const std::string& step) const {
    context.Show(kPreparingSlot, environment_.encoder->Preparing(step));
  }

  absl::StatusOr<analysis::ProfileResult> Measure(jobs::JobContext& context) const {
    const uint32_t n_layers = static_cast<uint32_t>(model_->spec().n_layers);
    uint32_t layers_done = 0;
    const auto on_layer = [&](const analysis::LayerScores& scores) {
      layers_done = scores.layer + 1;
      return context.Emit(environment_.encoder->LayerScores(file_name_, n_layers, scores));
    };
    const auto on_progress = [&](double fraction) {
      context.Show(kProgressSlot, environment_.encoder->Progress(fraction, layers_done, n_layers));
    };
    return analysis::MeasureProfile(*model_, prompts_.prompts, request_.options, context.stop(), on_layer,
                                    on_progress);
  }

  RunStarted Started() const {
    const DecoderSpec& spec = files_->spec();
    RunStarted started{.device = engine::DeviceDescription(device_),
                       .model = {.file_name = file_name_,
                                 .source = request_.model,
                                 .checkpoint_sha256 = sha256_,
                                 .architecture = spec.architecture,
                                 .dtype = request_.dtype,
                                 .n_layers = static_cast<uint32_t>(spec.n_layers),
                                 .n_heads = static_cast<uint32_t>(spec.n_heads),
                                 .n_parameters = static_cast<double>(files_->checkpoint().n_parameters()),
                                 .streamed = request_.memory_saver},
                       .n_prompts = static_cast<uint32_t>(prompts_.prompts.size()),
                       .warnings = prompts_.warnings};
    for (const analysis::Prompt& prompt : prompts_.prompts) started.n_tokens += prompt.tokens.size();
    return started;
  }

  ProfileRequest request_;
  const RunEnvironment& environment_;
  const std::string file_name_;

  // Set by Prepare.
  std::string device_;
  std::string sha256_;
  std::shared_ptr<const models::ModelFiles> files_;
  std::shared_ptr<engine::Model> model_;
  PromptSet prompts_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewProfileRun(ProfileRequest request, const RunEnvironment& environment) {
  return std::make_unique<ProfileRun>(std::move(request), environment);
}

}  // namespace induct::runs
