// The A's and B's of a bank of kind `lora`, cut by expert.
#pragma once

#include <vector>

#include "mixture/expert_bank.h"

namespace lmoe::mixture {

/// Factors of each target's adapters, in the type the base computes in.
class ExpertSlices {
 public:
  ExpertSlices(const ExpertBank& bank, at::ScalarType dtype);

  /// output [n, out] of `target` += scaling * B A x, in place and returned; x [n, in].
  at::Tensor add(int64_t expert, size_t target, const at::Tensor& x, at::Tensor output) const;
  /// scaling * weights * B A x
  at::Tensor weighted(int64_t expert,
                      size_t target,
                      const at::Tensor& x,
                      const at::Tensor& weights) const;
  size_t targets() const { return b_.size(); }

 private:
  double scaling_;
  std::vector<at::Tensor> a_;               ///< per expert [P, R, in]
  std::vector<std::vector<at::Tensor>> b_;  ///< per target, per expert [out, R]
};

}  // namespace lmoe::mixture
