#include "server/runs/targets_run.h"

#include <array>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/status.h"
#include "nlohmann/json.hpp"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

// The one token that a detector's text is.
absl::StatusOr<int32_t> TokenOf(const std::string& text, const models::ModelFiles& files) {
  const std::string detector = absl::StrCat("token:", text);
  if (files.tokenizer() == nullptr)
    return InvalidField("detectors", absl::StrCat(detector, ": ", files.name(), " has no tokenizer"));
  INDUCT_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, files.tokenizer()->Encode(text));
  if (ids.size() == 1) return ids.front();
  return InvalidField("detectors",
                      absl::StrCat(detector, ": \"", text, "\" is ", ids.size(), " tokens of ", files.name(),
                                   "; give a text that is one, with its leading space where it has one"));
}

// A position, or the two ends of a range.
nlohmann::ordered_json Positions(uint32_t first, uint32_t last) {
  if (first == last) return first;
  return nlohmann::ordered_json::array({first, last});
}

// The targets as a file that asks for them again, an object a line.
std::string TargetLines(const analysis::TargetsOptions& targets) {
  std::string lines;
  for (const analysis::Target& target : targets.targets) {
    nlohmann::ordered_json line = {{"prompt", target.prompt},
                                   {"query", Positions(target.first_query, target.last_query)},
                                   {"key", Positions(target.first_key, target.last_key)},
                                   {"group", targets.groups[target.group]}};
    if (target.weight != 1) line["weight"] = target.weight;
    absl::StrAppend(&lines, line.dump(), "\n");
  }
  return lines;
}

class TargetsRun : public ModelRun {
 public:
  TargetsRun(RunRequest request, analysis::TargetsOptions targets, std::vector<AskedDetector> detectors,
             ResultEncoder<TargetsFindings> encode, const RunEnvironment& environment)
      : ModelRun(std::move(request), environment),
        detectors_(std::move(detectors)),
        encode_(std::move(encode)),
        targets_(std::move(targets)) {}

 protected:
  absl::Status PrepareMore(jobs::JobContext& context) override {
    targets_.detectors.clear();
    for (const AskedDetector& asked : detectors_) {
      analysis::Detector detector = asked.detector;
      if (detector.kind == analysis::Detector::Kind::kToken) {
        INDUCT_ASSIGN_OR_RETURN(detector.token, TokenOf(asked.text, *models()[0].files));
      }
      targets_.detectors.push_back(detector);
    }
    INDUCT_RETURN_IF_ERROR(analysis::CheckTargets(targets_, models()[0].prompts.prompts));
    if (targets_.targets.empty()) return absl::OkStatus();
    return SaveTo(context)(absl::StrCat("targets_", models()[0].file_name, ".jsonl"), "application/x-ndjson",
                           TargetLines(targets_));
  }

  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(0, context));
    const std::string& name = models()[0].file_name;
    TargetsFindings findings{.options = targets_, .files = TargetFiles(name, targets_.groups)};
    INDUCT_ASSIGN_OR_RETURN(findings.result,
                            analysis::MeasureTargets(*model, models()[0].prompts.prompts, request().options,
                                                     targets_, context.stop(), OnProgress(0, context)));
    const analysis::TargetsResult& result = findings.result;
    const std::array<int64_t, 2> shape = {result.n_layers, result.n_heads};
    for (size_t i = 0; i < result.groups.size(); ++i) {
      if (result.groups[i].n_operations == 0) continue;
      INDUCT_RETURN_IF_ERROR(
          SaveTo(context)(findings.files[i], "application/x-npy", NpyBytes(result.groups[i].scores, shape)));
    }
    return SaveAndFinish(absl::StrCat("targets_", name, ".json"), encode_(name, findings), result.warnings,
                         context);
  }

 private:
  const std::vector<AskedDetector> detectors_;
  const ResultEncoder<TargetsFindings> encode_;
  analysis::TargetsOptions targets_;
};

}  // namespace

std::vector<std::string> TargetFiles(const std::string& model, const std::vector<std::string>& groups) {
  std::set<std::string> taken;
  std::vector<std::string> files;
  for (const std::string& group : groups) {
    const std::string plain = PlainFileName(group).substr(0, 100);
    std::string name = plain;
    for (int number = 2; !taken.insert(name).second; ++number) name = absl::StrCat(plain, "-", number);
    files.push_back(absl::StrCat("targets_", model, "_", name, ".npy"));
  }
  return files;
}

std::unique_ptr<jobs::Work> NewTargetsRun(RunRequest request, analysis::TargetsOptions targets,
                                          std::vector<AskedDetector> detectors,
                                          ResultEncoder<TargetsFindings> encode,
                                          const RunEnvironment& environment) {
  return std::make_unique<TargetsRun>(std::move(request), std::move(targets), std::move(detectors),
                                      std::move(encode), environment);
}

}  // namespace induct::runs
