// The oracle for recurrent gates: the GRU in plain loops, a state per token, one step per gate in
// the order in which they are first asked.
#pragma once

#include <cmath>
#include <map>
#include <tuple>

#include "mixture/gate.h"
#include "naive_matrix.h"

namespace lmoe::test {

class NaiveRecurrent {
 public:
  /// Logits of gate `g` of the stacked ones for token `t`, which reads `h`; asked again, the same.
  Vector logits(const mixture::Gate& gate, int64_t g, int64_t t, const Vector& h) {
    const auto key = std::make_tuple(&gate, g, t);
    if (const auto known = done_.find(key); known != done_.end()) return known->second;
    const at::Tensor down = gate.tensors()[0].tensor, out = gate.tensors()[1].tensor;
    const int64_t width = out.size(1), experts = gate.experts();
    Vector& state = states_[t];
    state.resize(static_cast<size_t>(width), 0.0);
    state = step(gate, times(down.slice(0, g * width, (g + 1) * width), h), state);
    return done_[key] = times(out.slice(0, g * experts, (g + 1) * experts), state);
  }

 private:
  static Vector step(const mixture::Gate& gate, const Vector& x, const Vector& state) {
    const auto cell = gate.common_parameters();
    const size_t width = x.size();
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    const Vector of_x = times(cell[0].tensor, x), of_state = times(cell[1].tensor, state);
    const Vector b = row(cell[2].tensor.unsqueeze(0), 0), c = row(cell[3].tensor.unsqueeze(0), 0);
    Vector next(width);
    for (size_t i = 0; i < width; ++i) {
      const size_t iz = width + i, in = 2 * width + i;
      const double r = sigmoid(of_x[i] + b[i] + of_state[i] + c[i]);
      const double z = sigmoid(of_x[iz] + b[iz] + of_state[iz] + c[iz]);
      const double n = std::tanh(of_x[in] + b[in] + r * (of_state[in] + c[in]));
      next[i] = (1 - z) * n + z * state[i];
    }
    return next;
  }

  std::map<int64_t, Vector> states_;
  std::map<std::tuple<const mixture::Gate*, int64_t, int64_t>, Vector> done_;
};

}  // namespace lmoe::test
