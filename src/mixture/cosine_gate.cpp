#include <ATen/ATen.h>

#include "mixture/gate_net.h"
#include "mixture/initial.h"

namespace lmoe::mixture {
namespace {

constexpr double kLeastLength = 1e-8;  // PyTorch's cosine_similarity

at::Tensor unit(const at::Tensor& x) {
  return x / x.norm(2, /*dim=*/-1, /*keepdim=*/true).clamp_min(kLeastLength);
}

class CosineGate : public GateNet {
 public:
  CosineGate(const spec::GateSpec& spec, const GateShape& shape, Rng& rng)
      : shape_(shape),
        keys_(gate_parameter(
            shape.gates * shape.experts, shape.input_width, spec, shape.dtype, rng)) {}

  at::Tensor logits(const at::Tensor& input, nn::ForwardContext&) const override {
    const at::Tensor direction = unit(input), keys = unit(keys_);
    std::vector<at::Tensor> all;
    for (int64_t g = 0; g < shape_.gates; ++g) {
      const at::Tensor own = input.dim() == 2 ? direction : direction.select(/*dim=*/1, g);
      // One product per key: a GEMM's last bits may depend on how many columns it has.
      for (int64_t e = 0; e < shape_.experts; ++e)
        all.push_back(at::mv(own, keys.select(/*dim=*/0, g * shape_.experts + e)));
    }
    return at::stack(all, /*dim=*/1).view({input.size(0), shape_.gates, shape_.experts});
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
