#include <ATen/ATen.h>

#include "mixture/cosines.h"
#include "mixture/gate_net.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

class CosineGate : public GateNet {
 public:
  CosineGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        keys_(gate_parameter(
            shape.gates * shape.experts, shape.input_width, spec, shape.options, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    const at::Tensor direction = unit(input), keys = unit(keys_);
    std::vector<at::Tensor> all;
    for (int64_t g = 0; g < shape_.gates; ++g) {
      const at::Tensor own = input.dim() == 2 ? direction : direction.select(/*dim=*/1, g);
      all.push_back(
          products_with_keys(own, keys.narrow(/*dim=*/0, g * shape_.experts, shape_.experts)));
    }
    return at::stack(all, /*dim=*/1);
  }

  std::vector<StackedTensor> tensors() const override { return {{"keys", keys_}}; }

 private:
  GateShape shape_;
  at::Tensor keys_;  ///< [G * E, D]
};

}  // namespace

std::unique_ptr<GateNet> make_cosine_gate(const spec::GateSpec& spec,
                                          const GateShape& shape,
                                          Rng& rng) {
  return std::make_unique<CosineGate>(spec, shape, rng);
}

}  // namespace lmoe::mixture
