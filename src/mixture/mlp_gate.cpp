#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

class MlpGate : public GateNet {
 public:
  MlpGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        width_(spec.hidden_size),
        hidden_(normal_parameter(
            {shape.gates * width_, shape.input_width}, spec.init_range, shape.dtype, rng)),
        output_(normal_parameter(
            {shape.gates * shape.experts, width_}, spec.init_range, shape.dtype, rng)) {}

  at::Tensor logits(const at::Tensor& input) const override {
    const at::Tensor hidden =
        at::silu(at::linear(input, hidden_)).view({input.size(0), shape_.gates, width_});
    const at::Tensor output = output_.view({shape_.gates, shape_.experts, width_});
    return at::bmm(hidden.transpose(0, 1), output.transpose(1, 2)).transpose(0, 1);
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
