#include "mixture/cosines.h"

#include <ATen/ATen.h>

#include <vector>

namespace lmoe::mixture {

at::Tensor unit(const at::Tensor& x) {
  constexpr double kLeastLength = 1e-8;  // PyTorch's cosine_similarity
  return x / x.norm(2, /*dim=*/-1, /*keepdim=*/true).clamp_min(kLeastLength);
}

at::Tensor products_with_keys(const at::Tensor& rows, const at::Tensor& keys) {
  // One product per key: a GEMM's last bits may depend on how many columns it has.
  std::vector<at::Tensor> all;
  for (int64_t e = 0; e < keys.size(0); ++e) all.push_back(at::mv(rows, keys.select(/*dim=*/0, e)));
  return at::stack(all, /*dim=*/1);
}

}  // namespace lmoe::mixture
