#include "nn/with_aten.h"

#include <ATen/ATen.h>

#include "nn/dispatch.h"

namespace lmoe::nn::with_aten {

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(weight.scalar_type());
  const at::Tensor rstd = (wide.square().mean(/*dim=*/-1, /*keepdim=*/true) + eps).rsqrt();
  return (wide * rstd * weight).to(x.scalar_type());
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  const int64_t half = table.cos.size(1), heads = x.size(1) / (2 * half);
  const at::Tensor wide = x.to(table.cos.scalar_type()).reshape({x.size(0), heads, 2 * half});
  const at::Tensor cos = table.cos.unsqueeze(/*dim=*/1), sin = table.sin.unsqueeze(/*dim=*/1);
  const at::Tensor first = wide.narrow(/*dim=*/2, 0, half);
  const at::Tensor second = wide.narrow(/*dim=*/2, half, half);
  return at::cat({first * cos - second * sin, second * cos + first * sin}, /*dim=*/2)
      .reshape(x.sizes())
      .to(x.scalar_type());
}

at::Tensor gated_activation(GatedActivation kind, const at::Tensor& gate, const at::Tensor& up) {
  const at::ScalarType computed_in = accumulate_dtype(gate.scalar_type());
  const at::Tensor wide = gate.to(computed_in);
  const at::Tensor activated =
      kind == GatedActivation::kSilu
          ? at::silu(wide)
          : at::gelu(wide, kind == GatedActivation::kGeluTanh ? "tanh" : "none");
  return (activated * up.to(computed_in)).to(gate.scalar_type());
}

}  // namespace lmoe::nn::with_aten
