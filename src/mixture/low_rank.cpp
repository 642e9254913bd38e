#include "mixture/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace lmoe::mixture {

LowRank low_rank(const at::Tensor& matrix, int64_t rank) {
  const int64_t most = std::min(matrix.size(0), matrix.size(1));
  LMOE_CHECK_ARG(rank >= 1 && rank <= most, "[low_rank] rank of a matrix [", matrix.size(0), ", ",
                 matrix.size(1), "]: given ", rank, ", expected 1 to ", most);
  const at::Tensor exact = matrix.to(at::kDouble);
  const auto [u, s, vh] = at::linalg_svd(exact, /*full_matrices=*/false);
  const at::Tensor root = s.narrow(/*dim=*/0, 0, rank).sqrt();
  LowRank result;
  result.a =
      (root.unsqueeze(/*dim=*/1) * vh.narrow(/*dim=*/0, 0, rank)).to(at::kFloat).contiguous();
  result.b = (u.narrow(/*dim=*/1, 0, rank) * root).to(at::kFloat).contiguous();
  result.norm = at::linalg_vector_norm(exact).item<double>();
  const at::Tensor rest = exact - at::matmul(result.b.to(at::kDouble), result.a.to(at::kDouble));
  result.error = at::linalg_vector_norm(rest).item<double>();
  return result;
}

}  // namespace lmoe::mixture
