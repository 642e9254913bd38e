#include <ATen/ATen.h>

#include "mixture/with_aten.h"
#include "nn/dispatch.h"
#include "nn/with_aten.h"

namespace lmoe::mixture::with_aten {
namespace {

/// What one block is made of, all in the type computed in.
class Block {
 public:
  Block(const at::Tensor& x,
        const at::Tensor& gate,
        const at::Tensor& up,
        const at::Tensor& weights,
        const FfnFactors& factors)
      : wide_(nn::accumulate_dtype(x.scalar_type())),
        experts_(weights.size(1)),
        x_(x.to(wide_)),
        gate_(gate.to(wide_)),
        up_(up.to(wide_)),
        factors_(factors) {}

  /// act(z_gate) * z_up of expert e, [N, I].
  at::Tensor activated(int64_t e, nn::GatedActivation activation) const {
    std::vector<at::Tensor> z = {gate_, up_};
    for (size_t p = 0; p < factors_.gate_up_targets.size(); ++p) {
      at::Tensor& own = z[static_cast<size_t>(factors_.gate_up_targets[p])];
      own = own + low_rank(x_,
                           rows(factors_.gate_up_a, static_cast<int64_t>(p) * experts_ + e,
                                factors_.gate_up_b[p]),
                           columns(factors_.gate_up_b[p], e));
    }
    return nn::with_aten::gated_activation(activation, z[0], z[1]);
  }

  /// s B2 A2 read of expert e, [N, H].
  at::Tensor down(int64_t e, const at::Tensor& read) const {
    return low_rank(read, rows(factors_.down_a, e, factors_.down_b), columns(factors_.down_b, e));
  }

 private:
  int64_t rank(const at::Tensor& b) const { return b.size(1) / experts_; }
  at::Tensor rows(const at::Tensor& a, int64_t index, const at::Tensor& b) const {
    return a.narrow(/*dim=*/0, index * rank(b), rank(b)).to(wide_);
  }
  at::Tensor columns(const at::Tensor& b, int64_t e) const {
    return b.narrow(/*dim=*/1, e * rank(b), rank(b)).to(wide_);
  }
  at::Tensor low_rank(const at::Tensor& x, const at::Tensor& a, const at::Tensor& b) const {
    return at::linear(at::linear(x, a), b) * factors_.scaling;
  }

  at::ScalarType wide_;
  int64_t experts_;
  at::Tensor x_, gate_, up_;
  const FfnFactors& factors_;
};

}  // namespace

MixedFfn mix_ffn(const at::Tensor& x,
                 const at::Tensor& gate,
                 const at::Tensor& up,
                 const at::Tensor& weights,
                 const FfnFactors& factors,
                 nn::GatedActivation activation,
                 const DropoutMask& dropout) {
  const Block block(x, gate, up, weights, factors);
  const int64_t tokens = x.size(0), experts = weights.size(1), inner = gate.size(1);
  const at::Tensor chosen = chosen_weights(weights.to(nn::accumulate_dtype(x.scalar_type())));
  const auto add = [](at::Tensor& sum, const at::Tensor& term) {
    sum = sum.defined() ? sum + term : term;
  };
  at::Tensor mixed, low;
  for (int64_t e = 0; e < experts; ++e) {
    const at::Tensor w = chosen.narrow(/*dim=*/1, e, 1);
    at::Tensor activated = block.activated(e, activation);
    add(mixed, w * activated);
    if (!factors.down_a.defined()) continue;
    if (dropout.rate > 0.0) {  // each pair of a token and an expert has a row of the mask
      const at::Tensor pairs =
          at::arange(tokens, at::TensorOptions(at::kLong).device(x.device())) * experts + e;
      activated = activated * dropout_factors(dropout, pairs, inner, activated.scalar_type());
    }
    add(low, w * block.down(e, activated));
  }
  return {mixed.to(x.scalar_type()), low.defined() ? low.to(x.scalar_type()) : low};
}

}  // namespace lmoe::mixture::with_aten
