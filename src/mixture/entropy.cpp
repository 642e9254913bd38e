#include "mixture/entropy.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace lmoe::mixture {

at::Tensor entropy(const at::Tensor& probabilities, const spec::EntropySpec& spec) {
  const auto experts = static_cast<double>(probabilities.size(-1));
  // 0 log 0 = 0: where p has underflowed the logarithm is only kept finite.
  const at::Tensor p = (probabilities + spec.epsilon).clamp_min(std::numeric_limits<float>::min());
  const bool is_shannon = spec.order == 1.0;
  at::Tensor value = is_shannon ? -(p * p.log()).sum(/*dim=*/-1)
                                : (1.0 - p.pow(spec.order).sum(/*dim=*/-1)) / (spec.order - 1.0);
  if (!spec.normalized || experts == 1.0) return value;
  const double greatest = is_shannon
                              ? std::log(experts)
                              : (1.0 - std::pow(experts, 1.0 - spec.order)) / (spec.order - 1.0);
  return value / greatest;
}

}  // namespace lmoe::mixture
