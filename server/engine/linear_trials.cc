#include "server/engine/linear_trials.h"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace induct::engine {
namespace {

// Of a pass's time, a fiftieth, less what the estimates of both may be wrong by; and of a pass too short for
// that.
constexpr double kShareOfPass = 0.015;
constexpr double kSecondsOfShortPass = 0.1;

// What is timed takes at least so long: the clock, and what wakes threads, should not decide.
constexpr double kMinTimedSeconds = 5e-4;
// Turns of each thing that is timed. In the first, oneDNN compiles its code, and pages are fresh.
constexpr int kTurns = 4;
// What takes so much longer than the fastest after the second turn, and after the third, has no further one.
constexpr double kHopeless[kTurns] = {0, 2, 1.1, 0};
// A difference that is no reason to leave the earlier of two methods.
constexpr double kNoise = 0.02;
// Of turns of one method, the longest to the shortest, on a machine that does nothing else.
constexpr double kSteady = 1.3;
// Of its time, what a thread that computes gets at least on such a machine.
constexpr double kQuietShare = 0.85;
// Looks for so long whether it does: longer than the slices of time that others get.
constexpr double kPaceSeconds = 8e-3;

// The least part that is measured. Ranks there are those of the whole shape (docs/performance.md); a part
// that has fewer rows than the pass tells less of what each product does before it multiplies.
constexpr int64_t kLeastColumns = 64;
constexpr int64_t kLeastRows = 256;
// More outputs than this tell nothing new, and take memory.
constexpr int64_t kMostOutputs = int64_t{1} << 20;

// Of what is compared with float32: from few rows on until it takes so long, as the dtype may be very slow.
constexpr int64_t kFirstRows = 16;
constexpr int64_t kComparedColumns = 128;
constexpr double kComparedSeconds = 2e-3;
constexpr int kComparedTurns = 3;

double SecondsOfClock(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What every method is tried on. The numbers mean nothing, but are no slower to compute with than others.
struct TrialNumbers {
  explicit TrialNumbers(const LinearShape& shape)
      : input(at::full({shape.n_rows, shape.n_in}, 0.5, shape.dtype)),
        linear{.weight = at::full({shape.n_out, shape.n_in}, 0.01, shape.dtype),
               .bias = at::full({shape.n_out}, 0.01, shape.dtype)} {
    if (shape.may_pack && HasProduct(LinearProduct::kOneDnnPacked, shape.dtype))
      packed_weight = PackWeight(linear.weight, shape.n_rows);
  }

  at::Tensor input;
  Linear linear;
  at::Tensor packed_weight;  // undefined: none
};

// One method at work.
class Trial {
 public:
  Trial(const TrialNumbers& numbers, std::optional<Activation> activation, const LinearMethod& method)
      : activation_(activation), input_(numbers.input), linear_(numbers.linear) {
    linear_.method = method;
    if (method.product == LinearProduct::kOneDnnPacked) linear_.weight = numbers.packed_weight;
  }

  // Seconds of one call.
  double Time(clockid_t clock = CLOCK_MONOTONIC) const {
    const double start = SecondsOfClock(clock);
    double seconds = 0;
    int calls = 0;
    while (seconds < kMinTimedSeconds) {
      ApplyLinear(linear_, input_, activation_);
      ++calls;
      seconds = SecondsOfClock(clock) - start;
    }
    return seconds / calls;
  }

 private:
  std::optional<Activation> activation_;
  at::Tensor input_;
  Linear linear_;
};

// While it lives, operations of this thread use no other one.
class OneThread {
 public:
  OneThread() : n_threads_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(n_threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int n_threads_;
};

// Whether others had the cores since it was made. This thread computes, or spins until the others have
// computed: on a machine of its own it is at work all the time.
class BusyCores {
 public:
  bool AreBusy() const {
    const double of_thread = SecondsOfClock(CLOCK_THREAD_CPUTIME_ID) - thread_start_;
    return of_thread < kQuietShare * (NowSeconds() - start_);
  }

 private:
  const double thread_start_ = SecondsOfClock(CLOCK_THREAD_CPUTIME_ID);
  const double start_ = NowSeconds();
};

std::optional<MeasuredChoice> MeasureOnce(const LinearShape& shape, Timing timing,
                                          absl::FunctionRef<bool()> has_time) {
  const TrialNumbers numbers(shape);
  const std::vector<LinearMethod> methods = CandidateMethods(shape);
  std::vector<Trial> trials;
  for (const LinearMethod& method : methods) trials.emplace_back(numbers, shape.activation, method);
  const clockid_t clock = timing == Timing::kOneThread ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  const auto fastest = FastestOf(
      trials.size(), [&](size_t i) { return trials[i].Time(clock); }, has_time);
  if (!fastest) return std::nullopt;
  return MeasuredChoice{
      .choice = {.method = methods[fastest->index], .gflops = shape.Flop() / fastest->seconds / 1e9},
      .is_steady = fastest->is_steady && timing == Timing::kAllThreads};
}

// Of what MeasuredPart's time has to suffice for.
double FlopToMeasure(const LinearShape& shape) {
  return shape.Flop() * kTurns * static_cast<double>(CandidateMethods(shape).size());
}

}  // namespace

double NowSeconds() { return SecondsOfClock(CLOCK_MONOTONIC); }

double ChoosingTime::SecondsLeft(double gflops) const {
  return std::max(kShareOfPass * flop / (gflops * 1e9), kSecondsOfShortPass * n_passes) - spent_seconds;
}

std::vector<LinearMethod> CandidateMethods(const LinearShape& shape) {
  const LinearMethod by_default = DefaultMethod(shape.dtype);
  std::vector<LinearMethod> methods = {by_default};
  for (const LinearProduct product :
       {LinearProduct::kAten, LinearProduct::kOneDnn, LinearProduct::kOneDnnPacked}) {
    if (!HasProduct(product, shape.dtype)) continue;
    if (product == LinearProduct::kOneDnnPacked && !shape.may_pack) continue;
    for (const bool fuses : {false, true}) {
      if (fuses && (product == LinearProduct::kAten || !shape.activation)) continue;
      const LinearMethod method = {.product = product, .fuses_activation = fuses};
      const bool same_as_default =
          product == by_default.product && (fuses == by_default.fuses_activation || !shape.activation);
      if (!same_as_default) methods.push_back(method);
    }
  }
  return methods;
}

std::optional<LinearShape> MeasuredPart(std::span<const LinearShape> shapes, double gflops, double seconds) {
  LinearShape part = shapes.front();
  double flop = 0;
  for (const LinearShape& shape : shapes) flop += FlopToMeasure(shape);
  const double share = std::clamp(seconds * gflops * 1e9 / flop, 0.0, 1.0);
  const double outputs =
      std::min(share * static_cast<double>(part.n_rows * part.n_out), static_cast<double>(kMostOutputs));
  const int64_t least_rows = std::min(kLeastRows, part.n_rows);
  const int64_t least_columns = std::min(kLeastColumns, part.n_out);
  const auto columns = static_cast<int64_t>(outputs / static_cast<double>(part.n_rows));
  // In steps of what kernels compute at once.
  part.n_out = std::clamp(columns / kLeastColumns * kLeastColumns, least_columns, part.n_out);
  const auto rows = static_cast<int64_t>(outputs / static_cast<double>(part.n_out));
  part.n_rows = std::clamp(rows / kFirstRows * kFirstRows, least_rows, part.n_rows);
  // What is left for the others may be less then: they wait for another pass.
  if (FlopToMeasure(part) > seconds * gflops * 1e9) return std::nullopt;
  return part;
}

std::optional<Fastest> FastestOf(size_t n, absl::FunctionRef<double(size_t)> time,
                                 absl::FunctionRef<bool()> has_time) {
  std::vector<double> least(n, std::numeric_limits<double>::infinity()), most(n, 0);
  const auto within = [&](double factor) {
    const double enough = factor * *std::ranges::min_element(least);
    return [&least, enough](size_t i) { return least[i] <= enough; };
  };
  std::vector<size_t> running(n);
  std::iota(running.begin(), running.end(), size_t{0});
  bool is_through = true;
  for (int turn = 0; turn < kTurns && is_through; ++turn) {
    for (const size_t i : running) {
      is_through = has_time();
      if (!is_through) break;
      const double seconds = time(i);
      least[i] = std::min(least[i], seconds);
      if (turn > 0) most[i] = std::max(most[i], seconds);
    }
    if (!is_through && turn < 2) return std::nullopt;
    if (kHopeless[turn] > 0) std::erase_if(running, std::not_fn(within(kHopeless[turn])));
  }
  const size_t fastest = *std::ranges::find_if(running, within(1 + kNoise));
  return Fastest{.index = fastest,
                 .seconds = least[fastest],
                 .is_steady = is_through && most[fastest] <= kSteady * least[fastest]};
}

std::optional<MeasuredChoice> MeasureMethods(const LinearShape& shape, Timing& timing,
                                             absl::FunctionRef<bool()> has_time) {
  if (timing == Timing::kAllThreads) {
    const BusyCores cores;
    auto measured = MeasureOnce(shape, timing, has_time);
    if (!cores.AreBusy()) return measured;
    timing = Timing::kOneThread;
  }
  const OneThread one_thread;
  return MeasureOnce(shape, timing, has_time);
}

Pace MeasurePace(const LinearShape& shape) {
  LinearShape part = shape;
  part.n_out = std::min(kLeastColumns, part.n_out);
  const TrialNumbers numbers(part);
  const Trial trial(numbers, part.activation, DefaultMethod(part.dtype));
  const auto gflops = [&] {
    trial.Time();  // compiles
    double least = std::numeric_limits<double>::infinity();
    const double start = NowSeconds();
    do {
      least = std::min(least, trial.Time());
    } while (NowSeconds() - start < kPaceSeconds);
    return part.Flop() / least / 1e9;
  };
  const BusyCores cores;
  const double of_all_threads = gflops();
  if (!cores.AreBusy()) return {.gflops = of_all_threads};
  const OneThread one_thread;
  return {.gflops = gflops(), .timing = Timing::kOneThread};
}

double TimesFloat32(const LinearShape& shape, const LinearMethod& method) {
  const OneThread one_thread;
  LinearShape part = shape;
  part.n_out = std::min(kComparedColumns, shape.n_out);
  for (part.n_rows = std::min(kFirstRows, shape.n_rows); part.n_rows < shape.n_rows;
       part.n_rows = std::min(4 * part.n_rows, shape.n_rows)) {
    const Trial trial(TrialNumbers(part), part.activation, method);
    if (trial.Time(CLOCK_THREAD_CPUTIME_ID) >= kComparedSeconds) break;
  }
  LinearShape in_float32 = part;
  in_float32.dtype = at::kFloat;
  in_float32.may_pack = false;
  const TrialNumbers numbers(part), float32_numbers(in_float32);
  const std::array trials = {Trial(numbers, part.activation, method),
                             Trial(float32_numbers, part.activation, DefaultMethod(at::kFloat))};
  std::array<double, 2> least;
  least.fill(std::numeric_limits<double>::infinity());
  for (int turn = 0; turn < kComparedTurns; ++turn) {
    for (size_t i = 0; i < trials.size(); ++i)
      least[i] = std::min(least[i], trials[i].Time(CLOCK_THREAD_CPUTIME_ID));
  }
  return least[0] / least[1];
}

}  // namespace induct::engine
