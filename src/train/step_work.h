// What a training step has to compute at least, and how fast this machine multiplies matrices: the
// share of the GEMM bound that a step reaches is flops / rate / seconds.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "arch/model_config.h"
#include "data/packing.h"
#include "spec/mixture_spec.h"

namespace lmoe::train {

/// Floating-point operations of the matrix products of one step over `rows`, forward and backward,
/// two for each multiply-add. Frozen projections and the lm_head (labelled tokens only) count
/// twice, experts and gates three times with only those that take part in a token, attention its
/// causal half per document, forward two products and backward five. No backward below the lowest
/// adapted layer; what caches spare counts as done.
double step_flops(const spec::MixtureSpec& spec,
                  const arch::ModelConfig& config,
                  std::span<const data::PackedRow> rows);

/// The product that the rate is measured on: x [tokens, hidden] times the weight of gate_proj,
/// [intermediate, hidden], with all threads, by each library that LibTorch carries
/// (nn/matrix_product.h).
class GemmRate {
 public:
  GemmRate(const arch::ModelConfig& config, int64_t tokens, at::ScalarType dtype);
  /// Runs it a few times; call between steps, so that both see the same machine.
  void measure();
  /// Median over all that was measured of the faster library, in units of 1e9 per second.
  double gflops() const;

 private:
  at::Tensor x_, weight_, y_;
  std::vector<double> aten_seconds_, product_seconds_;
};

}  // namespace lmoe::train
