#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"
#include "mixture/stacked_linear.h"

namespace lmoe::mixture {
namespace {

class LinearGate : public GateNet {
 public:
  LinearGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        weight_(gate_parameter(
            shape.gates * shape.experts, shape.input_width, spec, shape.options, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    return stacked_linear(input, weight_, shape_.gates);
  }

  std::vector<StackedTensor> tensors() const override { return {{"weight", weight_}}; }
  at::Tensor stackable_rows() const override { return weight_; }

 private:
  GateShape shape_;
  at::Tensor weight_;  ///< [G * E, D]
};

}  // namespace

std::unique_ptr<GateNet> make_linear_gate(const spec::GateSpec& spec,
                                          const GateShape& shape,
                                          Rng& rng) {
  return std::make_unique<LinearGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
