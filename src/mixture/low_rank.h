// The closest matrix of a given rank, as the two factors of a LoRA.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lmoe::mixture {

struct LowRank {
  at::Tensor a;        ///< [rank, in] sqrt(S) Vh, float32
  at::Tensor b;        ///< [out, rank] U sqrt(S), float32
  double norm = 0.0;   ///< Frobenius norm of the matrix
  double error = 0.0;  ///< that of the matrix minus b a
};

/// By the singular value decomposition of `matrix` [out, in] in double precision. No matrix of this
/// rank is closer; the factors of a smaller rank are the first rows and columns of these. Throws
/// kInvalidArgument unless 1 <= rank <= min(out, in).
LowRank low_rank(const at::Tensor& matrix, int64_t rank);

}  // namespace lmoe::mixture
