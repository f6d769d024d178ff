// What the products of linear layers take, by trying: sizes, turns and clocks.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "common/decoder_spec.h"
#include "server/engine/linear.h"
#include "server/engine/linear_choice.h"

namespace induct::engine {

struct LinearShape {
  int64_t n_rows = 0, n_in = 0, n_out = 0;
  c10::ScalarType dtype = c10::kFloat;
  std::optional<Activation> activation = {};  // that follows
  bool may_pack = false;                      // whether its weights may change their order
  double pass_flop = 0;                       // what a pass computes with such layers; 0 where nobody asks

  double Flop() const { return 2.0 * static_cast<double>(n_rows * n_in * n_out); }
};

// The methods that a shape can use on this processor, the default first.
std::vector<LinearMethod> CandidateMethods(const LinearShape& shape);

// How methods are timed.
enum class Timing {
  kAllThreads,  // by the wall's clock, as a pass runs
  // One thread, by its own clock. Where others want the same cores, what many threads take is how long they
  // wait for each other, in slices of milliseconds, whatever they compute.
  kOneThread,
};

// How fast LibTorch computes at present.
struct Pace {
  double gflops = 0;  // of time that passes
  Timing timing = Timing::kAllThreads;
};

// What may be measured, by the clock: of one model, over all its passes, so that several short ones suffice
// for what one does not.
struct ChoosingTime {
  int n_passes = 0;
  double flop = 0;           // of the linear layers of these passes
  double spent_seconds = 0;  // so far, whatever came of it
  double caution = 1;        // doubled where measuring took longer than was expected
  // Of an earlier pass that there was no time to measure more for: on a very busy machine finding it out
  // alone takes as long as there is for one pass.
  std::optional<Pace> pace = {};

  // Where these passes run at `gflops`: a fiftieth of what they take, or a tenth of a second for each, less
  // what is spent.
  double SecondsLeft(double gflops) const;
};

// The part of the first of `shapes` that is measured in its place, where so many seconds are left for all of
// them and LibTorch computes at `gflops`. The rows stay as long as they can, for few are computed in another
// way than many; what the columns are of is the same with few of them. Nothing where not even the least
// part that tells anything fits.
std::optional<LinearShape> MeasuredPart(std::span<const LinearShape> shapes, double gflops, double seconds);

struct Fastest {
  size_t index = 0;
  double seconds = 0;
  bool is_steady = false;  // its turns took about the same
};

// The fastest of n >= 1 things: time(i) does the i-th once and says how long it took. They take turns, so
// that a busy moment of the machine does not meet one alone, and the least time of each counts, as whatever
// disturbs only adds to it. Of things that differ by no more than noise the first is taken. Nothing where
// has_time() ends before each had two turns.
std::optional<Fastest> FastestOf(size_t n, absl::FunctionRef<double(size_t)> time,
                                 absl::FunctionRef<bool()> has_time);

struct MeasuredChoice {
  LinearChoice choice;
  bool is_steady = false;  // else the machine was busy: right enough for now, but not for good
};

// Times the methods of a shape on numbers of no meaning and takes the fastest. Goes over to one thread, and
// sets `timing`, where the machine turns out to be busy.
std::optional<MeasuredChoice> MeasureMethods(const LinearShape& shape, Timing& timing,
                                             absl::FunctionRef<bool()> has_time);

// By a few milliseconds of the default method.
Pace MeasurePace(const LinearShape& shape);

// How many times as long as in float32, by the default, layers of this shape take in their dtype, by
// `method`. In turn, on a part that takes a few milliseconds, and on one thread (Timing): whether a dtype is
// slow should not depend on who else computes.
double TimesFloat32(const LinearShape& shape, const LinearMethod& method);

// Seconds of the clock that only goes forward.
double NowSeconds();

}  // namespace induct::engine
