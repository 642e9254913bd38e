// The GRU that hands the state of each token from gate to gate: `gate.net: recurrent`.
//
//   r = sigmoid(W_r x + b_r + U_r s + c_r)        z = sigmoid(W_z x + b_z + U_z s + c_z)
//   n = tanh(W_n x + b_n + r * (U_n s + c_n))     s' = (1 - z) n + z s
//
// Legend: N tokens, M width of input and state.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "base/rng.h"
#include "mixture/stacked_tensor.h"

namespace lmoe::mixture {

class RecurrentCell {
 public:
  /// Weights and biases uniform in ±1/sqrt(width), the default of a GRU in PyTorch.
  RecurrentCell(int64_t width, const at::TensorOptions& options, Rng& rng);

  /// input [N, M], state [N, M], or undefined before the first gate, which is 0 -> state [N, M]
  at::Tensor step(const at::Tensor& input, const at::Tensor& state) const;
  /// gru.weight_ih [3 M, M], gru.weight_hh [3 M, M], gru.bias_ih [3 M], gru.bias_hh [3 M]; rows r,
  /// z, n
  std::vector<StackedTensor> tensors() const;

 private:
  at::Tensor weight_ih_, weight_hh_, bias_ih_, bias_hh_;
};

}  // namespace lmoe::mixture
