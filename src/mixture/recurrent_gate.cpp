#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"
#include "mixture/stacked_linear.h"

namespace lmoe::mixture {
namespace {

class RecurrentGate : public GateNet {
 public:
  RecurrentGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        width_(spec.hidden_size),
        down_(gate_parameter(shape.gates * width_, shape.input_width, spec, shape.options, rng)),
        output_(gate_parameter(shape.gates * shape.experts, width_, spec, shape.options, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext& context) const override {
    const at::Tensor down = stacked_linear(input, down_, shape_.gates);  // [N, G, M]
    at::Tensor& state = context.shared_gates[shape_.cell.get()];
    std::vector<at::Tensor> all;
    for (int64_t g = 0; g < shape_.gates; ++g) {
      state = shape_.cell->step(down.select(/*dim=*/1, g), state);
      all.push_back(
          at::linear(state, output_.narrow(/*dim=*/0, g * shape_.experts, shape_.experts)));
    }
    return at::stack(all, /*dim=*/1);
  }

  std::vector<StackedTensor> tensors() const override {
    return {{"down.weight", down_}, {"output.weight", output_}};
  }
  std::vector<StackedTensor> common_tensors() const override { return shape_.cell->tensors(); }

 private:
  GateShape shape_;
  int64_t width_;
  at::Tensor down_;    ///< [G * M, D]
  at::Tensor output_;  ///< [G * E, M]
};

}  // namespace

std::unique_ptr<GateNet> make_recurrent_gate(const spec::GateSpec& spec,
                                             const GateShape& shape,
                                             Rng& rng) {
  return std::make_unique<RecurrentGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
