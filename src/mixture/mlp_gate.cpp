#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"
#include "mixture/stacked_linear.h"

namespace lmoe::mixture {
namespace {

class MlpGate : public GateNet {
 public:
  MlpGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        width_(spec.hidden_size),
        hidden_(gate_parameter(shape.gates * width_, shape.input_width, spec, shape.options, rng)),
        output_(gate_parameter(shape.gates * shape.experts, width_, spec, shape.options, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    const at::Tensor hidden = at::silu(stacked_linear(input, hidden_, shape_.gates));
    return stacked_linear(hidden, output_, shape_.gates);
  }

  std::vector<StackedTensor> tensors() const override {
    return {{"hidden.weight", hidden_}, {"output.weight", output_}};
  }

 private:
  GateShape shape_;
  int64_t width_;
  at::Tensor hidden_;  ///< [G * M, D]
  at::Tensor output_;  ///< [G * E, M]
};

}  // namespace

std::unique_ptr<GateNet> make_mlp_gate(const spec::GateSpec& spec,
                                       const GateShape& shape,
                                       Rng& rng) {
  return std::make_unique<MlpGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
