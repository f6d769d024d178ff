// Shows on standard error how a job goes.
#pragma once

#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/progress_line.h"
#include "induct/v1/job.pb.h"

namespace induct::client {

enum class ProgressStyle {
  kQuiet,     // nothing
  kLines,     // plain lines, no control sequences
  kTerminal,  // one line that is written over
};

// kQuiet where asked; kTerminal where standard error is a terminal that can write over a line; else kLines.
ProgressStyle ChooseProgressStyle(bool quiet);

// Safe for concurrent use. The destructor leaves the cursor on a line of its own.
class Progress {
 public:
  // `scores_layers`: the job tells each layer's scores, which the line is made of; else it is a plain bar.
  Progress(ProgressStyle style, FILE* out, bool scores_layers = true);
  ~Progress();

  void Show(const v1::JobEvent& event);
  // A sentence that stays.
  void Note(const std::string& sentence);
  // Ends the line that is written over, so that something else may be printed.
  void EndLine();

 private:
  void ShowStart(const v1::JobStarted& started) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowScores(const v1::LayerScores& scores) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ShowProgress(const v1::JobProgress& progress) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the job waits for or does before it runs; `fraction` is how far it is with that.
  void ShowPhase(const std::string& phase, std::optional<double> fraction)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Redraw(bool at_once) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Overwrite(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void PrintLine(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Scores of an attempt that is over are forgotten.
  void Begin(uint32_t attempt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ProgressStyle style_;
  FILE* const out_;
  const bool unicode_;
  const bool scores_layers_;

  absl::Mutex mutex_;
  std::string kind_ ABSL_GUARDED_BY(mutex_) = "induction";  // the score kind that the curve is made of
  uint32_t attempt_ ABSL_GUARDED_BY(mutex_) = 0;
  JobView view_ ABSL_GUARDED_BY(mutex_);
  // By the model's name in file names: where its layers begin among all of the job's.
  std::map<std::string, size_t> first_layers_ ABSL_GUARDED_BY(mutex_);
  absl::Time started_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time drawn_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::string phase_ ABSL_GUARDED_BY(mutex_);     // shown last
  int phase_tenths_ ABSL_GUARDED_BY(mutex_) = 0;  // of it, printed last
  int tenths_printed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool line_open_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace induct::client
