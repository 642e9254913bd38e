#include "mixture/gate_noise.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {
namespace {

template <class Draw>
at::Tensor drawn_like(const at::Tensor& x, Draw&& draw) {
  at::Tensor values = at::empty(x.sizes(), at::TensorOptions().dtype(at::kFloat));
  float* out = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(draw());
  return values.to(x.device(), x.scalar_type());
}

}  // namespace

at::Tensor jitter(const at::Tensor& x, double amount, Rng& rng) {
  return x * drawn_like(x, [&] { return rng.uniform(1.0 - amount, 1.0 + amount); });
}

at::Tensor add_normal_noise(const at::Tensor& x, double deviation, Rng& rng) {
  return x + drawn_like(x, [&] { return deviation * rng.normal(); });
}

}  // namespace lmoe::mixture
