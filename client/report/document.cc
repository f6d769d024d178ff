#include "client/report/document.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/report/findings.h"
#include "client/report/method.h"
#include "client/report/phrases.h"
#include "client/report/run_settings.h"
#include "client/text.h"
#include "client/verdicts.h"

namespace induct::client {
namespace {

// The labels of all runs' models, each once, in order.
std::vector<std::string> AllLabels(const std::vector<SavedRun>& runs) {
  std::vector<std::string> labels;
  for (const SavedRun& run : runs) {
    for (const SavedModel& model : run.models) {
      if (std::find(labels.begin(), labels.end(), model.label) == labels.end()) labels.push_back(model.label);
    }
  }
  return labels;
}

struct Question {
  const char* commands;  // that answer it, between '|'
  const char* text;
};

constexpr Question kQuestions[] = {
    {"|profile|nulls|crosssize|multisize|", "Where are the induction heads?"},
    {"|crosssize|multisize|", "Do they lie at the same relative depth in models of different size?"},
    {"|nulls|",
     "Is a score more than attention to other positions gives, and do high heads stand closer together than "
     "if scores were "
     "dealt to places at random?"},
    {"|causal|", "Does copying need these heads?"},
    {"|lagbuckets|", "Does the centroid of the profile lie elsewhere at longer lags?"},
    {"|pattern|", "What does one head attend to?"}};

Section QuestionSection(const std::vector<SavedRun>& runs) {
  List list;
  for (const Question& question : kQuestions) {
    const bool asked = std::any_of(runs.begin(), runs.end(), [&](const SavedRun& run) {
      return absl::StrCat(question.commands).find(absl::StrCat("|", run.metadata.command(), "|")) !=
             std::string::npos;
    });
    if (asked) list.items.push_back(question.text);
  }
  Section section{.title = "Question"};
  if (list.items.empty()) list.items.push_back("Where are the induction heads?");
  section.blocks.push_back(std::move(list));
  return section;
}

// Whether the nulls are of the profile's model, prompts and operations.
bool BelongTo(const SavedModel& model, const SavedRun& run, const SavedModel& other,
              const SavedRun& other_run) {
  const v1::Profile& profile = *model.profile;
  const v1::Nulls& nulls = *other.nulls;
  const v1::AntecedentNull& uniform = nulls.shuffled_antecedent().uniform();
  return other.use.checkpoint_sha256() == model.use.checkpoint_sha256() &&
         other.use.dtype() == model.use.dtype() && nulls.score() == profile.score() &&
         nulls.antecedents() == profile.antecedents() && nulls.min_lag() == profile.min_lag() &&
         other.use.n_layers() == profile.n_layers() && other.use.n_heads() == profile.n_heads() &&
         uniform.n_copy_ops() + uniform.n_dropped() == profile.n_copy_ops() &&
         PromptsKey(run) == PromptsKey(other_run);
}

// The profile's nulls: of its own run, else of any run of the same prompts.
const v1::Nulls* NullsOf(const SavedModel& model, const SavedRun& run, const std::vector<SavedRun>& runs) {
  if (model.nulls) return &*model.nulls;
  for (const SavedRun& other_run : runs) {
    for (const SavedModel& other : other_run.models) {
      if (other.nulls && BelongTo(model, run, other, other_run)) return &*other.nulls;
    }
  }
  return nullptr;
}

// Puts a report together, run by run.
class Results {
 public:
  Results(const std::vector<SavedRun>& runs, const std::string& folder) : runs_(runs), folder_(folder) {}

  void AddRun(const SavedRun& run) {
    run_ = &run;
    const size_t before = sections_.size();
    if (run.cross_size)
      Add(absl::StrCat("Comparison of ", Enumeration(LabelsOf(run))), CrossSizeFindings(run));
    for (const SavedModel& model : run.models) AddModel(model);
    if (sections_.size() == before && !HasResult(run)) {
      Findings none;
      none.blocks.push_back(Paragraph{
          run.problems.empty() ? "This run left no result."
                               : "No result of this run can be used; see above what is missing or damaged."});
      Add(run.path, std::move(none));
    }
    AddLimitsOfRun(run);
  }

  std::vector<Section> TakeSections() { return std::move(sections_); }
  const std::vector<std::string>& limits() const { return limits_; }
  const std::vector<std::string>& next_steps() const { return next_steps_; }

 private:
  static std::vector<std::string> LabelsOf(const SavedRun& run) {
    std::vector<std::string> labels;
    for (const SavedModel& model : run.models) labels.push_back(model.label);
    return labels;
  }

  // Its profile may have been told already.
  static bool HasResult(const SavedRun& run) {
    return std::any_of(run.models.begin(), run.models.end(),
                       [](const SavedModel& model) { return model.profile.has_value(); });
  }

  // From the report's folder, where it exists.
  std::string ImagePath(const std::string& name) const {
    std::error_code error;
    const std::filesystem::path image = std::filesystem::path(run_->path) / "figs" / name;
    if (!std::filesystem::exists(image, error)) return "";
    const auto relative = std::filesystem::proximate(image, folder_.empty() ? "." : folder_, error);
    return error ? "" : relative.string();
  }

  void Add(const std::string& title, Findings findings) {
    for (Block& block : findings.blocks) {
      if (auto* chart = std::get_if<Chart>(&block)) chart->image = ImagePath(chart->image);
    }
    // Two runs may have asked the same of one model.
    const bool is_new = titles_.insert(title).second;
    sections_.push_back({.title = is_new ? title : absl::StrCat(title, " (", run_->path, ")"),
                         .level = 3,
                         .blocks = std::move(findings.blocks)});
    for (std::string& limit : findings.limits) AddOnce(std::move(limit), &limits_);
    for (std::string& step : findings.next_steps) AddOnce(std::move(step), &next_steps_);
  }

  static void AddOnce(std::string sentence, std::vector<std::string>* sentences) {
    if (std::find(sentences->begin(), sentences->end(), sentence) == sentences->end())
      sentences->push_back(std::move(sentence));
  }

  void AddModel(const SavedModel& model) {
    if (model.profile && IsNewProfile(model))
      Add(absl::StrCat("Profile of ", model.label), ProfileFindings(model, NullsOf(model, *run_, runs_)));
    if (model.nulls) Add(absl::StrCat("Nulls of ", model.label), NullsFindings(model));
    if (model.causal) Add(absl::StrCat("Causal ablation of ", model.label), CausalFindings(model));
    if (model.lag_buckets) Add(absl::StrCat("Lag buckets of ", model.label), LagFindings(model));
    if (model.pattern) Add(absl::StrCat("Attention pattern of ", model.label), PatternFindings(model));
  }

  // Runs of nulls and comparisons hold the profile that a run of `profile` may have told already.
  bool IsNewProfile(const SavedModel& model) {
    const v1::Profile& profile = *model.profile;
    return profiles_
        .insert({model.label, model.use.checkpoint_sha256(), model.use.dtype(), profile.score(),
                 profile.antecedents(), profile.aggregation(), PromptsKey(*run_),
                 absl::StrCat(profile.min_lag(), " ", profile.n_prompts(), " ", profile.n_copy_ops(), " ",
                              profile.high_score_quantile())})
        .second;
  }

  void AddLimitsOfRun(const SavedRun& run) {
    const uint32_t n_prompts = run.metadata.n_prompts();
    const std::string& command = run.metadata.command();
    const bool tells_itself = command == "causal";  // its intervals rest on half of the prompts
    if (!tells_itself && HasIntervals(run) && n_prompts > 0 && n_prompts < kFewPrompts)
      AddOnce(FewPrompts(absl::StrCat(command, " of ", Enumeration(LabelsOf(run))), n_prompts), &limits_);
    for (const std::string& warning : run.metadata.warnings())
      AddOnce(absl::StrCat(Enumeration(LabelsOf(run)), ": ", warning, warning.ends_with(".") ? "" : "."),
              &limits_);
  }

  const std::vector<SavedRun>& runs_;
  const std::string folder_;
  const SavedRun* run_ = nullptr;  // that is being added
  std::vector<Section> sections_;
  std::vector<std::string> limits_, next_steps_;
  std::set<std::vector<std::string>> profiles_;  // that were told, by what makes them the same
  std::set<std::string> titles_;
};

// Runs that ended early, files that are missing or damaged, folders that are no runs.
std::vector<std::string> AllProblems(const std::vector<SavedRun>& runs,
                                     const std::vector<std::string>& problems) {
  std::vector<std::string> all = problems;
  for (const SavedRun& run : runs) {
    for (const std::string& problem : run.problems) all.push_back(absl::StrCat(run.path, ": ", problem));
  }
  return all;
}

Section ListSection(const char* title, std::vector<std::string> items) {
  Section section{.title = title};
  section.blocks.emplace_back(List{std::move(items)});
  return section;
}

std::vector<std::string> Limits(const Results& results) {
  std::vector<std::string> limits = results.limits();
  limits.push_back(
      "Intervals, and p-values of shuffled antecedents, speak of prompts made of these words; those of the "
      "head permutation and of ablations speak of where heads stand and which were ablated in this one "
      "model. "
      "None speaks of other tasks or of other training runs.");
  return limits;
}

std::vector<std::string> NextSteps(const std::vector<SavedRun>& runs, const Results& results) {
  std::set<std::string> commands;
  for (const SavedRun& run : runs) commands.insert(run.metadata.command());
  std::vector<std::string> steps;
  const auto suggest = [&](const char* command, const char* text) {
    if (!commands.contains(command)) steps.push_back(text);
  };
  suggest("nulls",
          "induct-client nulls --model NAME: is a score more than attention to a fixed distance gives?");
  suggest("causal",
          "induct-client causal --model NAME --task_types RANDOM: does copying need the best heads?");
  suggest("lagbuckets",
          "induct-client lagbuckets --model NAME: does the centroid lie elsewhere at longer lags?");
  suggest("pattern", "induct-client pattern --model NAME --head LAYER.HEAD: look at what a head attends to.");
  if (!commands.contains("crosssize") && !commands.contains("multisize"))
    steps.push_back(
        "induct-client crosssize --models NAME NAME: is the relative depth the same in another size?");
  for (const std::string& step : results.next_steps()) steps.push_back(step);
  steps.push_back("Repeat the measurement with other prompts (--seed, --task_types RANDOM with long lags).");
  return steps;
}

}  // namespace

Document MakeDocument(const std::vector<SavedRun>& runs, const std::vector<std::string>& problems,
                      const std::string& folder) {
  const std::vector<std::string> labels = AllLabels(runs);
  Document document{.title = labels.empty() ? "Induction heads"
                                            : absl::StrCat("Induction heads of ", Enumeration(labels))};
  document.sections.push_back(QuestionSection(runs));
  if (std::vector<std::string> all = AllProblems(runs, problems); !all.empty())
    document.sections.push_back(ListSection("What is missing or damaged", std::move(all)));
  document.sections.push_back(ModelsSection(runs));
  document.sections.push_back(MethodSection(runs));
  document.sections.push_back({.title = "Results"});
  Results results(runs, folder);
  for (const SavedRun& run : runs) results.AddRun(run);
  for (Section& section : results.TakeSections()) document.sections.push_back(std::move(section));
  document.sections.push_back(ListSection("Limits", Limits(results)));
  document.sections.push_back(ListSection("Next steps", NextSteps(runs, results)));
  return document;
}

}  // namespace induct::client
