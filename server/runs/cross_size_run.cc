#include "server/runs/cross_size_run.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/file_names.h"
#include "common/status.h"
#include "server/analysis/cross_size.h"
#include "server/runs/model_run.h"

namespace induct::runs {
namespace {

constexpr double kMaxDifferenceOfShares = 0.25;

using analysis::ComparableProfile;

double ShareKept(const ComparableProfile& measured) {
  return static_cast<double>(measured.profile.n_heads_kept) / measured.profile.n_heads;
}

class CrossSizeRun : public ModelRun {
 public:
  CrossSizeRun(RunRequest request, ResultEncoder<CrossSizeResult> encode, const RunEnvironment& environment)
      : ModelRun(std::move(request), environment), encode_(std::move(encode)) {}

 protected:
  absl::StatusOr<std::string> Measure(jobs::JobContext& context) override {
    std::vector<ComparableProfile> measured;
    std::vector<std::string> warnings;
    for (size_t i = 0; i < models().size(); ++i) {
      INDUCT_ASSIGN_OR_RETURN(ComparableProfile of_model, MeasureModel(i, &warnings, context));
      measured.push_back(std::move(of_model));
    }
    WarnOfShares(measured, &warnings);
    INDUCT_RETURN_IF_ERROR(ResampleForAllPairs(context, &measured));
    INDUCT_ASSIGN_OR_RETURN(const CrossSizeResult result, Compare(measured, context));
    return SaveAndFinish(kCrossSizeFile, encode_(models()[0].file_name, result), warnings, context);
  }

 private:
  absl::StatusOr<ComparableProfile> MeasureModel(size_t index, std::vector<std::string>* warnings,
                                                 jobs::JobContext& context) {
    const std::vector<analysis::Prompt>& prompts = models()[index].prompts.prompts;
    INDUCT_ASSIGN_OR_RETURN(engine::Model* const model, Weights(index, context));
    auto profile = analysis::MeasureProfile(*model, prompts, request().options, context.stop(),
                                            OnLayer(index, context), OnProgress(index, context));
    if (!profile.ok()) return Annotate(profile.status(), models()[index].source);
    INDUCT_RETURN_IF_ERROR(SaveProfile(index, *profile, context).status());
    for (const std::string& warning : profile->warnings) {
      const std::string named = absl::StrCat(models()[index].source, ": ", warning);
      warnings->push_back(named);
    }
    ComparableProfile measured(*std::move(profile), prompts);
    ForgetPrompts(index);
    return measured;
  }

  void WarnOfShares(std::span<const ComparableProfile> measured, std::vector<std::string>* warnings) const {
    const auto [least, most] =
        std::minmax_element(measured.begin(), measured.end(),
                            [](const auto& a, const auto& b) { return ShareKept(a) < ShareKept(b); });
    if (ShareKept(*most) <= ShareKept(*least) * (1 + kMaxDifferenceOfShares)) return;
    warnings->push_back(absl::StrFormat(
        "topq keeps %.0f %% of the heads of %s and %.0f %% of those of %s: curves are comparable with "
        "aggregation mean",
        100 * ShareKept(*least), models()[least - measured.begin()].source, 100 * ShareKept(*most),
        models()[most - measured.begin()].source));
  }

  // One bootstrap a model instead of two a pair.
  static absl::Status ResampleForAllPairs(jobs::JobContext& context,
                                          std::vector<ComparableProfile>* measured) {
    std::vector<analysis::ComparedProfile> profiles;
    for (const ComparableProfile& each : *measured) {
      if (!each.profile.bootstrap.has_value()) return absl::OkStatus();
      profiles.push_back(each.Compared());
    }
    INDUCT_ASSIGN_OR_RETURN(auto curves, analysis::ResampleOnce(profiles, context.stop()));
    for (size_t i = 0; i < curves.size(); ++i) (*measured)[i].curves = std::move(curves[i]);
    return absl::OkStatus();
  }

  absl::StatusOr<CrossSizeResult> Compare(std::span<const ComparableProfile> measured,
                                          jobs::JobContext& context) const {
    CrossSizeResult result;
    for (const RunModel& model : models()) result.models.push_back(model.file_name);
    for (size_t a = 0; a < measured.size(); ++a) {
      for (size_t b = a + 1; b < measured.size(); ++b) {
        const bool with_bootstrap =
            measured[a].profile.bootstrap.has_value() && measured[b].profile.bootstrap.has_value();
        INDUCT_ASSIGN_OR_RETURN(auto comparison,
                                analysis::CompareProfiles(measured[a].Compared(), measured[b].Compared(),
                                                          with_bootstrap, context.stop()));
        result.pairs.push_back({result.models[a], result.models[b], std::move(comparison)});
      }
    }
    return result;
  }

  const ResultEncoder<CrossSizeResult> encode_;
};

}  // namespace

std::unique_ptr<jobs::Work> NewCrossSizeRun(RunRequest request, ResultEncoder<CrossSizeResult> encode,
                                            const RunEnvironment& environment) {
  return std::make_unique<CrossSizeRun>(std::move(request), std::move(encode), environment);
}

}  // namespace induct::runs
