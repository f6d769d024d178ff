#include "client/report/document.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/kinds.h"
#include "client/report/findings.h"
#include "client/report/method.h"
#include "client/report/phrases.h"
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

Section QuestionSection(const std::vector<SavedRun>& runs) {
  List list;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    const bool asked = std::any_of(runs.begin(), runs.end(), [&](const SavedRun& run) {
      const AnalysisKind* own = KindOfCommand(run.metadata.command());
      return own != nullptr && Leaves(*own, kind);
    });
    if (asked) list.items.push_back(kind.question);
  }
  Section section{.title = "Question"};
  if (list.items.empty()) list.items.push_back("Where are the induction heads?");
  section.blocks.push_back(std::move(list));
  return section;
}

// Puts a report together, run by run.
class Results {
 public:
  Results(const std::vector<SavedRun>& runs, const std::string& folder) : runs_(runs), folder_(folder) {}

  void AddRun(const SavedRun& run) {
    run_ = &run;
    const size_t before = sections_.size();
    for (const AnalysisKind& kind : AnalysisKinds()) {
      if (kind.compares_models) AddResult(kind, {run});
    }
    for (const SavedModel& model : run.models) {
      for (const AnalysisKind& kind : AnalysisKinds()) {
        if (!kind.compares_models) AddResult(kind, {run, &model});
      }
    }
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
  static std::vector<std::string> RunLabels(const SavedRun& run) {
    std::vector<std::string> labels;
    for (const SavedModel& model : run.models) labels.push_back(model.label);
    return labels;
  }

  // Of which some may have been told already.
  static bool HasResult(const SavedRun& run) {
    return std::any_of(AnalysisKinds().begin(), AnalysisKinds().end(),
                       [&](const AnalysisKind& kind) { return !ResultsOf(kind, run).empty(); });
  }

  // From the report's folder, where there is one and it exists.
  std::string ImagePath(const std::string& name) const {
    if (name.empty()) return "";
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

  void AddResult(const AnalysisKind& kind, const ShownResult& of) {
    if (ResultOf(kind, of) == nullptr) return;
    if (kind.identity != nullptr && !told_.insert(kind.identity(of)).second) return;
    const std::string name = of.model == nullptr ? Enumeration(RunLabels(of.run)) : of.model->label;
    Add(absl::StrCat(kind.title, " of ", name), kind.findings(of, runs_));
  }

  void AddLimitsOfRun(const SavedRun& run) {
    const uint32_t n_prompts = run.metadata.n_prompts();
    const std::string& command = run.metadata.command();
    const AnalysisKind* own = KindOfCommand(command);
    const bool tells_itself = own != nullptr && own->prompts_of_intervals != nullptr;
    if (!tells_itself && HasIntervals(run) && n_prompts > 0 && n_prompts < kFewPrompts)
      AddOnce(FewPrompts(absl::StrCat(command, " of ", Enumeration(RunLabels(run))), n_prompts), &limits_);
    for (const std::string& warning : run.metadata.warnings())
      AddOnce(absl::StrCat(Enumeration(RunLabels(run)), ": ", warning, warning.ends_with(".") ? "" : "."),
              &limits_);
  }

  const std::vector<SavedRun>& runs_;
  const std::string folder_;
  const SavedRun* run_ = nullptr;  // that is being added
  std::vector<Section> sections_;
  std::vector<std::string> limits_, next_steps_;
  std::set<std::vector<std::string>> told_;  // identities of results
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
  std::set<const AnalysisKind*> kinds;
  for (const SavedRun& run : runs) kinds.insert(KindOfCommand(run.metadata.command()));
  std::vector<std::string> steps;
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (!kind.suggestion.empty() && !kinds.contains(&kind)) steps.push_back(kind.suggestion);
  }
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
