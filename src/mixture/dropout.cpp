#include "mixture/dropout.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::mixture {

at::Tensor dropout(const at::Tensor& x, double rate, Rng& rng) {
  const auto threshold = static_cast<uint64_t>(rate * 0x1.0p32);
  const float kept = static_cast<float>(1.0 / (1.0 - rate));
  at::Tensor mask = at::empty(x.sizes(), at::kFloat);
  float* out = mask.data_ptr<float>();
  const int64_t count = mask.numel();
  for (int64_t i = 0; i < count; i += 2) {  // one draw of 64 bits serves two elements
    const uint64_t draw = rng.next();
    out[i] = (draw >> 32) < threshold ? 0.0F : kept;
    if (i + 1 < count) out[i + 1] = (draw & 0xffffffffU) < threshold ? 0.0F : kept;
  }
  return x * mask.to(x.scalar_type());
}

at::Tensor adapter_input(const at::Tensor& x, double rate, nn::ForwardContext& context) {
  if (!context.is_training || rate == 0.0) return x;
  LMOE_CHECK_ARG(context.dropout_rng != nullptr,
                 "[mixture] training with dropout needs a generator in the forward context");
  return dropout(x, rate, *context.dropout_rng);
}

}  // namespace lmoe::mixture
