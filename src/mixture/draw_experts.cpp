#include "mixture/draw_experts.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace lmoe::mixture {

Draw draw_experts(const at::Tensor& logits, int64_t k, Rng& rng) {
  at::Tensor noise = at::empty(logits.sizes(), at::kDouble);
  double* out = noise.data_ptr<double>();
  for (int64_t i = 0; i < noise.numel(); ++i)
    out[i] = -std::log(-std::log(rng.uniform(std::numeric_limits<double>::min(), 1.0)));
  const at::Tensor keys = logits.to(at::kDouble) + noise.to(logits.device());
  Draw draw;
  draw.order = std::get<1>(at::topk(keys, k, /*dim=*/-1, /*largest=*/true, /*sorted=*/true));
  draw.selected = at::zeros(logits.sizes(), logits.options().dtype(at::kBool))
                      .scatter_(/*dim=*/-1, draw.order, /*value=*/true);
  return draw;
}

at::Tensor log_probability(const at::Tensor& logits, const at::Tensor& order) {
  const double never = -std::numeric_limits<double>::infinity();
  at::Tensor left = logits, total;
  for (int64_t j = 0; j < order.size(-1); ++j) {
    const at::Tensor drawn = order.narrow(/*dim=*/-1, j, 1);
    const at::Tensor each =
        (left.gather(/*dim=*/-1, drawn) - at::logsumexp(left, /*dim=*/{-1}, /*keepdim=*/true))
            .squeeze(/*dim=*/-1);
    total = total.defined() ? total + each : each;
    left = left.scatter(/*dim=*/-1, drawn, never);
  }
  return total;
}

}  // namespace lmoe::mixture
