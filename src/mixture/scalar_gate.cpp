#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

class ScalarGate : public GateNet {
 public:
  ScalarGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        weight_(
            gate_parameter(shape.gates * shape.experts, /*width=*/1, spec, shape.options, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    return weight_.view({1, shape_.gates, shape_.experts}).expand({input.size(0), -1, -1});
  }

  std::vector<StackedTensor> tensors() const override { return {{"weight", weight_}}; }

 private:
  GateShape shape_;
  at::Tensor weight_;  ///< [G * E, 1]
};

}  // namespace

std::unique_ptr<GateNet> make_scalar_gate(const spec::GateSpec& spec,
                                          const GateShape& shape,
                                          Rng& rng) {
  return std::make_unique<ScalarGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
