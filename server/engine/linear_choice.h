// Which product of LibTorch's a linear layer uses on a CPU. Plain C++ types only, as in engine.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace induct::engine {

// Which one is fastest depends on the processor, the shape and the dtype: MKL by a fifth on one machine,
// oneDNN by a factor of two on another (docs/performance.md).
enum class LinearProduct {
  kAten,          // at::linear, which is MKL's on x86
  kOneDnn,        // oneDNN's, on weights as they are
  kOneDnnPacked,  // oneDNN's, on weights in an order of its own
};

// "aten", "onednn", "onednn_packed".
std::string_view LinearProductName(LinearProduct product);
std::optional<LinearProduct> ParseLinearProduct(std::string_view name);

struct LinearMethod {
  LinearProduct product = LinearProduct::kAten;
  bool fuses_activation = false;  // the product computes the activation as well; oneDNN's alone can
  friend bool operator==(const LinearMethod&, const LinearMethod&) = default;
};

struct LinearChoice {
  LinearMethod method;
  double gflops = 0;  // 10^9 operations a second, the activation's time included; 0: not measured
};

// The layers of one shape, [n_rows, n_in] to [n_rows, n_out], and what was chosen for them.
struct LinearUse {
  int64_t n_rows = 0, n_in = 0, n_out = 0;
  LinearChoice choice;
  double float32_gflops = 0;  // of the same shape in float32, where that is faster; else 0
};

// Remembers choices for other processes, so that a server that is started again computes the same numbers;
// implemented over a file by server/models. Safe for concurrent calls.
class ChoiceMemory {
 public:
  virtual ~ChoiceMemory() = default;

  // `key`: processor, LibTorch, threads, dtype, shape, rows, activation.
  virtual std::optional<LinearChoice> Find(const std::string& key) = 0;
  virtual void Keep(const std::string& key, const LinearChoice& choice) = 0;
};

// Chooses for every model of a process; see linear_chooser.h.
class LinearChooser;

// fixed: the product to use wherever the processor has it for the dtype; nothing: the fastest, by measuring.
// memory: may be nullptr.
std::shared_ptr<LinearChooser> MakeLinearChooser(std::optional<LinearProduct> fixed,
                                                 std::shared_ptr<ChoiceMemory> memory);

}  // namespace induct::engine
