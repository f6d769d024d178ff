#include "server/engine/linear_chooser.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "server/engine/processor.h"

namespace induct::engine {
namespace {

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
  std::string restrictions(at::get_cpu_capability());
  for (const char* const name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"}) {
    const char* const value = std::getenv(name);
    if (value != nullptr) absl::StrAppend(&restrictions, "/", name, "=", value);
  }
  return restrictions;
}

std::string KeyOf(const LinearShape& shape) {
  static const std::string processor = ProcessorDescription();
  return absl::StrCat(processor, "; ", Restrictions(), "; LibTorch ", TORCH_VERSION, "; ",
                      at::get_num_threads(), " threads; ", c10::toString(shape.dtype), " ", shape.n_rows, "x",
                      shape.n_in, "x", shape.n_out, " ", std::string(FormOf(shape.activation)),
                      shape.may_pack ? "" : " unpacked");
}

// Adds what passes while it lives to the time that is spent.
class Spending {
 public:
  explicit Spending(ChoosingTime& time) : time_(time) {}
  ~Spending() { time_.spent_seconds += Seconds(); }
  Spending(const Spending&) = delete;
  Spending& operator=(const Spending&) = delete;

  double Seconds() const { return NowSeconds() - start_; }

 private:
  ChoosingTime& time_;
  const double start_ = NowSeconds();
};

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

std::vector<std::optional<LinearChoice>> LinearChooser::Choose(const std::vector<LinearShape>& shapes,
                                                               ChoosingTime& time, std::stop_token stop) {
  const absl::MutexLock lock(&mutex_);
  const std::vector<LinearShape> unknown = Unknown(shapes);
  if (!unknown.empty() && !stop.stop_requested()) Measure(unknown, time, stop);
  std::vector<std::optional<LinearChoice>> choices;
  for (const LinearShape& shape : shapes) choices.push_back(Known(shape));
  return choices;
}

std::vector<LinearShape> LinearChooser::Unknown(const std::vector<LinearShape>& shapes) {
  std::map<std::string, LinearShape> by_key;
  for (const LinearShape& shape : shapes) {
    if (Known(shape)) continue;
    const auto [found, is_new] = by_key.try_emplace(KeyOf(shape), shape);
    if (!is_new) found->second.pass_flop += shape.pass_flop;
  }
  std::vector<LinearShape> unknown;
  for (const auto& [key, shape] : by_key) unknown.push_back(shape);
  std::ranges::stable_sort(unknown, std::ranges::greater(), &LinearShape::pass_flop);
  return unknown;
}

void LinearChooser::Measure(const std::vector<LinearShape>& unknown, ChoosingTime& time,
                            const std::stop_token& stop) {
  const Spending spending(time);
  Pace pace = time.pace ? *time.pace : MeasurePace(unknown.front());
  const auto left = [&] { return time.SecondsLeft(pace.gflops) - spending.Seconds(); };
  const auto has_time = [&] { return left() > 0 && !stop.stop_requested(); };
  size_t n_measured = 0;
  for (; n_measured < unknown.size() && has_time(); ++n_measured) {
    const auto part =
        MeasuredPart(std::span(unknown).subspan(n_measured), pace.gflops, left() / time.caution);
    if (!part) break;
    const auto measured = MeasureMethods(*part, pace.timing, has_time);
    if (!measured) {  // begun anew with less, or when more passes have come
      if (!stop.stop_requested()) time.caution *= 2;
      break;
    }
    Keep(KeyOf(unknown[n_measured]), *measured);
  }
  time.pace = n_measured == 0 ? std::optional(pace) : std::nullopt;
}

void LinearChooser::Keep(const std::string& key, const MeasuredChoice& measured) {
  const LinearMethod& method = measured.choice.method;
  Log(LogLevel::kDebug, "engine",
      absl::StrCat(key, ": ", std::string(LinearProductName(method.product)),
                   method.fuses_activation ? " with activation, " : ", ", std::round(measured.choice.gflops),
                   " GFLOP/s", measured.is_steady ? "" : ", on a busy machine: for this process only"));
  choices_.emplace(key, measured.choice);
  if (memory_ != nullptr && measured.is_steady) memory_->Keep(key, measured.choice);
}

std::optional<double> LinearChooser::BesideFloat32(const LinearShape& shape, const LinearMethod& method,
                                                   ChoosingTime& time) {
  if (fixed_) return std::nullopt;
  const absl::MutexLock lock(&mutex_);
  const std::string key = KeyOf(shape);
  const auto found = times_float32_.find(key);
  if (found != times_float32_.end()) return found->second;
  const Spending spending(time);
  return times_float32_[key] = TimesFloat32(shape, method);
}

LinearChoice LinearChooser::Fixed(const LinearShape& shape) const {
  const bool possible =
      HasProduct(*fixed_, shape.dtype) && (*fixed_ != LinearProduct::kOneDnnPacked || shape.may_pack);
  LinearMethod method = DefaultMethod(shape.dtype);
  if (possible) method.product = *fixed_;
  if (method.product == LinearProduct::kAten) method.fuses_activation = false;
  return {.method = method};
}

std::optional<LinearChoice> LinearChooser::Known(const LinearShape& shape) {
  if (fixed_) return Fixed(shape);
  const std::vector<LinearMethod> methods = CandidateMethods(shape);
  if (methods.size() == 1) return LinearChoice{.method = methods.front()};
  const std::string key = KeyOf(shape);
  const auto found = choices_.find(key);
  if (found != choices_.end()) return found->second;
  if (memory_ == nullptr) return std::nullopt;
  const std::optional<LinearChoice> remembered = memory_->Find(key);
  if (!remembered || !std::ranges::count(methods, remembered->method)) return std::nullopt;
  choices_.emplace(key, *remembered);
  return remembered;
}

}  // namespace induct::engine
