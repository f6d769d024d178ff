// The products that a model's layers consist of, one by one, by every way that LibTorch has.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "common/decoder_spec.h"
#include "server/engine/engine.h"

namespace induct::engine {

// On random numbers, with as many rows as a pass has.
class Products {
 public:
  // uses: what the model has settled on; the default where it is empty.
  Products(const DecoderSpec& spec, const std::vector<LinearUse>& uses, c10::ScalarType dtype,
           c10::Device device);
  ~Products();

  // Runs every product in turn, and a product of two large square matrices.
  void Measure();

  // GFLOP/s over the layers of one layer, from the medians of each shape.
  double OfAten() const;     // at::linear
  double OfModel() const;    // what the model uses
  double OfFastest() const;  // the fastest of each shape
  double OfSquare() const;   // of the square matrices
  double Highest() const;    // of any of them

  // A line for each shape.
  void Print() const;

 private:
  struct Shape;

  double Together(const std::vector<double>& seconds) const;

  std::vector<Shape> shapes_;
  at::Tensor square_;
  std::vector<double> square_seconds_;
};

}  // namespace induct::engine
