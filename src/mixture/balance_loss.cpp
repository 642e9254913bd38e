#include "mixture/balance_loss.h"

#include <ATen/ATen.h>

#include <limits>

namespace lmoe::mixture {
namespace {

/// P [S, E]
at::Tensor mean_probabilities(const nn::RouterLog& log) {
  std::vector<at::Tensor> means;
  for (const nn::GateRecord& record : log.records)
    means.push_back(record.probabilities.mean(/*dim=*/0));
  return at::stack(means);
}

/// f [S, E]
at::Tensor first_choice_shares(const nn::RouterLog& log, const at::Tensor& like) {
  std::vector<at::Tensor> shares;
  for (const nn::GateRecord& record : log.records) {
    const at::Tensor chosen = record.probabilities.detach().argmax(/*dim=*/-1);
    const auto tokens = static_cast<double>(chosen.size(0));
    shares.push_back(at::bincount(chosen, /*weights=*/{}, /*minlength=*/like.size(1)) / tokens);
  }
  return at::stack(shares).to(like.scalar_type());
}

at::Tensor cv2(const at::Tensor& p) {
  const at::Tensor mean = p.mean(/*dim=*/1);
  return p.var(/*dim=*/1, /*unbiased=*/false) / (mean * mean);
}

at::Tensor kl(const at::Tensor& p) {
  // 0 log 0 = 0: where P has underflowed the logarithm is only kept finite.
  const at::Tensor relative =
      (p * static_cast<double>(p.size(1))).clamp_min(std::numeric_limits<float>::min());
  return (p * relative.log()).sum(/*dim=*/1);
}

}  // namespace

at::Tensor balance_losses(spec::BalanceLoss kind, const nn::RouterLog& log) {
  const at::Tensor p = mean_probabilities(log);
  switch (kind) {
    case spec::BalanceLoss::kCv2:
      return cv2(p);
    case spec::BalanceLoss::kSwitch:
      return (first_choice_shares(log, p) * p).sum(/*dim=*/1) * static_cast<double>(p.size(1));
    case spec::BalanceLoss::kKl:
      return kl(p);
  }
  return {};
}

}  // namespace lmoe::mixture
