#include "client/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/text.h"
#include "proto/job_specs.h"

namespace induct::client {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);
constexpr size_t kFewLayers = 12;  // up to here plain lines tell of each layer, beyond of each tenth
constexpr size_t kPlainBarWidth = 20;
constexpr size_t kMaxShownLayers = 100'000;  // of all models together: beyond, a server sends nonsense

// The first of the locale's variables that is set decides, as for setlocale.
bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string locale = absl::AsciiStrToLower(value);
    return absl::StrContains(locale, "utf-8") || absl::StrContains(locale, "utf8");
  }
  return false;
}

size_t TerminalColumns(FILE* out) {
  winsize size = {};
  const bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return (known ? size.ws_col : 80) - size_t{1};  // a full last column would wrap
}

std::optional<BestHead> FindBestHead(const v1::LayerScores& layer, const std::string& kind) {
  for (const v1::KindScores& scores : layer.kinds()) {
    if (scores.kind() != kind || scores.scores().empty()) continue;
    const auto best = std::max_element(scores.scores().begin(), scores.scores().end());
    return BestHead{.layer = layer.layer(),
                    .head = static_cast<uint32_t>(best - scores.scores().begin()),
                    .score = *best};
  }
  return std::nullopt;
}

std::string PlainBar(double score) {
  const auto filled = static_cast<size_t>(std::lround(std::clamp(score, 0.0, 1.0) * kPlainBarWidth));
  return std::string(filled, '#') + std::string(kPlainBarWidth - filled, '-');
}

std::string WaitingText(uint32_t jobs_ahead) {
  return jobs_ahead == 0 ? "waiting: next in line"
                         : absl::StrCat("waiting: ", Counted(jobs_ahead, "job"), " ahead");
}

std::string StartedText(const v1::JobStarted& started) {
  std::string models;
  for (const v1::ModelUse& model : started.models()) {
    absl::StrAppend(&models, models.empty() ? "" : ", ", model.source(), " (",
                    Counted(model.n_layers(), "layer"), ", ", Counted(model.n_heads(), "head"), ", ",
                    model.dtype(), model.streamed() ? ", streamed" : "", ")");
  }
  return absl::StrCat("running ", models, " on ", started.device(), ": ",
                      Counted(started.n_prompts(), "prompt"), ", ",
                      Counted(AsCount(started.n_tokens()), "token"));
}

}  // namespace

ProgressStyle ChooseProgressStyle(bool quiet) {
  if (quiet) return ProgressStyle::kQuiet;
  const char* term = std::getenv("TERM");
  const bool can_overwrite =
      isatty(STDERR_FILENO) == 1 && term != nullptr && std::string(term) != "dumb" && *term != '\0';
  return can_overwrite ? ProgressStyle::kTerminal : ProgressStyle::kLines;
}

Progress::Progress(ProgressStyle style, FILE* out, bool scores_layers)
    : style_(style), out_(out), unicode_(LocaleIsUtf8()), scores_layers_(scores_layers) {}

Progress::~Progress() { EndLine(); }

void Progress::Show(const v1::JobEvent& event) {
  if (style_ == ProgressStyle::kQuiet) return;
  const absl::MutexLock lock(&mutex_);
  if (event.attempt() > attempt_) Begin(event.attempt());
  switch (event.event_case()) {
    case v1::JobEvent::kAccepted:
      if (!KindOf(event.accepted().spec()).empty() && ProfileOf(event.accepted().spec()).run().has_score())
        kind_ = ProfileOf(event.accepted().spec()).run().score();
      return PrintLine(absl::StrCat("accepted as ", event.accepted().job()));
    case v1::JobEvent::kQueued:
      return ShowPhase(WaitingText(event.queued().position()), std::nullopt);
    case v1::JobEvent::kPreparing:
      return ShowPhase(event.preparing().step(), event.preparing().has_fraction()
                                                     ? std::optional(event.preparing().fraction())
                                                     : std::nullopt);
    case v1::JobEvent::kRequeued:
      return PrintLine(
          absl::StrCat("attempt ", event.attempt(), " ended without a result: ", event.requeued().cause()));
    case v1::JobEvent::kStarted:
      return ShowStart(event.started());
    case v1::JobEvent::kLayerScores:
      return ShowScores(event.layer_scores());
    case v1::JobEvent::kProgress:
      return ShowProgress(event.progress());
    case v1::JobEvent::kFinished:
      view_.fraction = 1;
      if (style_ == ProgressStyle::kTerminal && !view_.layers.empty()) Redraw(/*at_once=*/true);
      return;
    default:
      if (style_ == ProgressStyle::kTerminal && !view_.layers.empty()) Redraw(/*at_once=*/false);
  }
}

void Progress::Begin(uint32_t attempt) {
  if (attempt_ > 0) PrintLine(absl::StrCat("the server started the job anew (attempt ", attempt, ")"));
  attempt_ = attempt;
  view_ = {};
  first_layers_.clear();
  tenths_printed_ = 0;
  phase_.clear();
}

void Progress::ShowStart(const v1::JobStarted& started) {
  started_ = absl::Now();
  size_t n_layers = 0;
  for (const v1::ModelUse& model : started.models()) {
    first_layers_[model.name()] = n_layers;
    n_layers += model.n_layers();
  }
  if (n_layers <= kMaxShownLayers) view_.layers.resize(n_layers);
  PrintLine(StartedText(started));
}

void Progress::ShowScores(const v1::LayerScores& scores) {
  const size_t at = first_layers_[scores.model()] + scores.layer();
  if (at >= kMaxShownLayers) return;
  view_.layers.resize(std::max(view_.layers.size(), at + 1));
  const bool several = first_layers_.size() > 1;
  const std::optional<BestHead> best = FindBestHead(scores, kind_);
  view_.layers[at] = best.value_or(BestHead{.layer = scores.layer()});
  if (several) view_.layers[at]->model = scores.model();
  const size_t done = view_.LayersDone(), n_layers = view_.layers.size();
  if (style_ == ProgressStyle::kTerminal) return Redraw(/*at_once=*/done == n_layers);

  const int tenths = static_cast<int>(10 * done / n_layers);
  if (n_layers > kFewLayers && std::exchange(tenths_printed_, tenths) == tenths) return;
  const std::string bar = best ? absl::StrFormat("  [%s] best head L%dH%d %.3f", PlainBar(best->score),
                                                 best->layer, best->head, best->score)
                               : "";
  PrintLine(absl::StrFormat("%slayer %d done (%d of %d)%s", several ? scores.model() + " " : "",
                            scores.layer(), done, n_layers, bar));
}

void Progress::ShowProgress(const v1::JobProgress& progress) {
  if (progress.n_layers() <= kMaxShownLayers)
    view_.layers.resize(std::max<size_t>(view_.layers.size(), progress.n_layers()));
  view_.fraction = std::max(view_.fraction, progress.fraction());
  if (style_ == ProgressStyle::kTerminal) Redraw(/*at_once=*/false);
}

void Progress::ShowPhase(const std::string& phase, std::optional<double> fraction) {
  const bool is_new = std::exchange(phase_, phase) != phase;
  if (style_ == ProgressStyle::kTerminal) {
    if (fraction) return Overwrite(StepLine(Printable(phase), *fraction, TerminalColumns(out_), unicode_));
    if (is_new) Overwrite(Printable(phase));
    return;
  }
  if (is_new) phase_tenths_ = 0;
  const int tenths = static_cast<int>(10 * std::clamp(fraction.value_or(0), 0.0, 1.0));
  if (tenths > std::exchange(phase_tenths_, std::max(tenths, phase_tenths_))) {
    PrintLine(absl::StrCat(phase, " ", 10 * tenths, " %"));
  } else if (is_new) {
    PrintLine(phase);
  }
}

void Progress::Redraw(bool at_once) {
  const absl::Time now = absl::Now();
  if (!at_once && now - drawn_ < kRedrawInterval) return;
  drawn_ = now;
  view_.time_left.reset();
  if (started_ != absl::InfinitePast() && view_.fraction > 0.01 && view_.fraction < 1) {
    view_.time_left = (now - started_) * ((1 - view_.fraction) / view_.fraction);
  }
  const size_t columns = TerminalColumns(out_);
  Overwrite(scores_layers_ ? ProgressLine(view_, columns, unicode_)
                           : StepLine("reading attention", view_.fraction, columns, unicode_));
}

void Progress::Overwrite(const std::string& line) {
  std::fprintf(out_, "\r%s\x1b[K", FirstColumns(line, TerminalColumns(out_)).c_str());
  std::fflush(out_);
  line_open_ = true;
}

void Progress::PrintLine(const std::string& line) {
  if (std::exchange(line_open_, false)) std::fputs("\r\x1b[K", out_);
  std::fprintf(out_, "%s\n", Printable(line).c_str());
  std::fflush(out_);
}

void Progress::Note(const std::string& sentence) {
  if (style_ == ProgressStyle::kQuiet) return;
  const absl::MutexLock lock(&mutex_);
  PrintLine(sentence);
}

void Progress::EndLine() {
  const absl::MutexLock lock(&mutex_);
  if (std::exchange(line_open_, false)) std::fputs("\n", out_);
  std::fflush(out_);
}

}  // namespace induct::client
