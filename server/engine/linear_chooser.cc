#include "server/engine/linear_chooser.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/full.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/processor.h"

namespace induct::engine {
namespace {

// What is timed takes at least so long: the clock, and what wakes threads, should not decide.
constexpr double kMinTimedSeconds = 5e-4;
// Turns of each thing that is timed. In the first, oneDNN compiles its code, and pages are fresh.
constexpr int kRounds = 3;
// What takes so much longer than the fastest after the round before the last has no further turn.
constexpr double kHopeless = 1.1;
// A difference that is no reason to leave the earlier of two methods.
constexpr double kNoise = 0.02;
// Fewer rows than this say little about many: packing weights counts too much.
constexpr int64_t kMinMeasuredRows = 128;

constexpr std::pair<LinearProduct, std::string_view> kProductNames[] = {
    {LinearProduct::kAten, "aten"},
    {LinearProduct::kOneDnn, "onednn"},
    {LinearProduct::kOneDnnPacked, "onednn_packed"},
};

std::string_view FormOf(std::optional<Activation> activation) {
  if (!activation) return "none";
  switch (*activation) {
    case Activation::kGeluExact:
      return "gelu";
    case Activation::kGeluTanh:
      return "gelu_tanh";
    case Activation::kSilu:
      return "silu";
  }
  return "none";
}

// What the products heed beside the processor.
std::string Restrictions() {
  const char* const one_dnn = std::getenv("ONEDNN_MAX_CPU_ISA");
  return absl::StrCat(at::get_cpu_capability(), one_dnn == nullptr ? "" : absl::StrCat("/", one_dnn));
}

std::string KeyOf(const LinearShape& shape) {
  static const std::string processor = ProcessorDescription();
  return absl::StrCat(processor, "; ", Restrictions(), "; LibTorch ", TORCH_VERSION, "; ",
                      at::get_num_threads(), " threads; ", c10::toString(shape.dtype), " ", shape.n_rows, "x",
                      shape.n_in, "x", shape.n_out, " ", std::string(FormOf(shape.activation)),
                      shape.may_pack ? "" : " unpacked");
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
  double Time() const {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    double seconds = 0;
    int calls = 0;
    while (seconds < kMinTimedSeconds) {
      ApplyLinear(linear_, input_, activation_);
      ++calls;
      seconds = std::chrono::duration<double>(Clock::now() - start).count();
    }
    return seconds / calls;
  }

 private:
  std::optional<Activation> activation_;
  at::Tensor input_;
  Linear linear_;
};

// With as many rows as max_flop suffices for; nothing where they are too few.
std::optional<int64_t> MeasuredRows(const std::vector<LinearShape>& shapes, double max_flop) {
  double share = 1;
  double flop = 0;
  for (const LinearShape& shape : shapes) {
    flop += shape.Flop() * kRounds * static_cast<double>(CandidateMethods(shape).size());
  }
  if (flop > max_flop) share = max_flop / flop;
  int64_t rows = std::numeric_limits<int64_t>::max();
  for (const LinearShape& shape : shapes) {
    const auto of_shape = static_cast<int64_t>(share * static_cast<double>(shape.n_rows));
    if (of_shape < std::min(kMinMeasuredRows, shape.n_rows)) return std::nullopt;
    rows = std::min(rows, of_shape);
  }
  return rows;
}

}  // namespace

std::string_view LinearProductName(LinearProduct product) {
  for (const auto& [value, name] : kProductNames) {
    if (value == product) return name;
  }
  return "";
}

std::optional<LinearProduct> ParseLinearProduct(std::string_view name) {
  for (const auto& [value, its_name] : kProductNames) {
    if (its_name == name) return value;
  }
  return std::nullopt;
}

std::shared_ptr<LinearChooser> MakeLinearChooser(std::optional<LinearProduct> fixed,
                                                 std::shared_ptr<ChoiceMemory> memory) {
  return std::make_shared<LinearChooser>(fixed, std::move(memory));
}

std::vector<LinearMethod> CandidateMethods(const LinearShape& shape) {
  const LinearMethod by_default = DefaultMethod(shape.dtype);
  std::vector<LinearMethod> methods = {by_default};
  for (const auto& [product, name] : kProductNames) {
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

Fastest FastestOf(size_t n, absl::FunctionRef<double(size_t)> time) {
  std::vector<double> seconds(n, std::numeric_limits<double>::infinity());
  const auto within = [&](double factor) {
    const double enough = factor * *std::ranges::min_element(seconds);
    return [&seconds, enough](size_t i) { return seconds[i] <= enough; };
  };
  std::vector<size_t> running(n);
  std::iota(running.begin(), running.end(), size_t{0});
  for (int round = 1; round <= kRounds; ++round) {
    if (round == kRounds) std::erase_if(running, std::not_fn(within(kHopeless)));
    for (const size_t i : running) seconds[i] = std::min(seconds[i], time(i));
  }
  const size_t fastest = *std::ranges::find_if(running, within(1 + kNoise));
  return {.index = fastest, .seconds = seconds[fastest]};
}

LinearChoice MeasureMethods(const LinearShape& shape) {
  const TrialNumbers numbers(shape);
  const std::vector<LinearMethod> methods = CandidateMethods(shape);
  std::vector<Trial> trials;
  for (const LinearMethod& method : methods) trials.emplace_back(numbers, shape.activation, method);
  const Fastest fastest = FastestOf(trials.size(), [&](size_t i) { return trials[i].Time(); });
  return {.method = methods[fastest.index], .gflops = shape.Flop() / fastest.seconds / 1e9};
}

std::optional<std::vector<LinearChoice>> LinearChooser::Choose(const std::vector<LinearShape>& shapes,
                                                               double max_flop, std::stop_token stop) {
  const absl::MutexLock lock(&mutex_);
  std::vector<LinearShape> unknown;
  for (const LinearShape& shape : shapes) {
    if (!Known(shape)) unknown.push_back(shape);
  }
  const std::optional<int64_t> rows = MeasuredRows(unknown, max_flop);
  if (!rows) return std::nullopt;
  for (LinearShape shape : unknown) {
    if (stop.stop_requested()) return std::nullopt;
    const std::string key = KeyOf(shape);
    if (choices_.contains(key)) continue;  // two of one shape
    shape.n_rows = std::min(shape.n_rows, *rows);
    const LinearChoice choice = MeasureMethods(shape);
    choices_.emplace(key, choice);
    if (memory_ != nullptr) memory_->Keep(key, choice);
  }
  std::vector<LinearChoice> choices;
  for (const LinearShape& shape : shapes) choices.push_back(*Known(shape));
  return choices;
}

std::optional<LinearChoice> LinearChooser::Known(const LinearShape& shape) {
  if (fixed_) {
    const bool possible =
        HasProduct(*fixed_, shape.dtype) && (*fixed_ != LinearProduct::kOneDnnPacked || shape.may_pack);
    LinearMethod method = DefaultMethod(shape.dtype);
    if (possible) method.product = *fixed_;
    if (method.product == LinearProduct::kAten) method.fuses_activation = false;
    return LinearChoice{.method = method};
  }
  const std::string key = KeyOf(shape);
  const auto found = choices_.find(key);
  if (found != choices_.end()) return found->second;
  if (memory_ == nullptr) return std::nullopt;
  const std::optional<LinearChoice> remembered = memory_->Find(key);
  if (!remembered || !std::ranges::count(CandidateMethods(shape), remembered->method)) return std::nullopt;
  choices_.emplace(key, *remembered);
  return remembered;
}

}  // namespace induct::engine
