#include "mixture/balance_loss.h"

#include <ATen/ATen.h>

#include <limits>
#include <map>

#include "mixture/entropy.h"
#include "mixture/pool_gates.h"
#include "mixture/task_loss.h"

namespace lmoe::mixture {
namespace {

/// Gates with equally many experts, so that what they measure can be stacked.
using Gates = std::vector<nn::GateRecord>;

template <class Measure>
at::Tensor stack_of(const Gates& gates, const Measure& measure) {
  std::vector<at::Tensor> values;
  for (const nn::GateRecord& gate : gates) values.push_back(measure(gate));
  return at::stack(values);
}

/// P [S, E]
at::Tensor mean_probabilities(const Gates& gates) {
  return stack_of(gates, [](const nn::GateRecord& g) { return g.probabilities.mean(/*dim=*/0); });
}

/// W [S, E]
at::Tensor mean_weights(const Gates& gates) {
  return stack_of(gates, [](const nn::GateRecord& g) { return g.weights.mean(/*dim=*/0); });
}

/// f1 [S, E]
at::Tensor first_choice_shares(const Gates& gates) {
  return stack_of(gates, [](const nn::GateRecord& g) {
    const at::Tensor chosen = g.probabilities.detach().argmax(/*dim=*/-1);
    const at::Tensor counts =
        at::bincount(chosen, /*weights=*/{}, /*minlength=*/g.probabilities.size(1));
    return counts.to(g.probabilities.scalar_type()) / chosen.size(0);
  });
}

/// c [S, E]
at::Tensor selected_shares(const Gates& gates) {
  return stack_of(gates, [](const nn::GateRecord& g) {
    return g.selected.to(g.probabilities.scalar_type()).mean(/*dim=*/0);
  });
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

/// E * sum a b
at::Tensor agreement(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(/*dim=*/1) * static_cast<double>(a.size(1));
}

/// Of each gate. [S]
at::Tensor values_of(const spec::LossSpec& loss,
                     const Gates& gates,
                     const std::vector<nn::Segment>& segments) {
  switch (loss.kind) {
    case spec::BalanceLoss::kCv2:
      return cv2(mean_probabilities(gates));
    case spec::BalanceLoss::kSwitch:
      return agreement(first_choice_shares(gates), mean_probabilities(gates));
    case spec::BalanceLoss::kKl:
      return kl(mean_probabilities(gates));
    case spec::BalanceLoss::kTopKSwitch:
      return agreement(selected_shares(gates), mean_probabilities(gates));
    case spec::BalanceLoss::kTopKShare: {
      const at::Tensor shares = selected_shares(gates);
      return agreement(shares, mean_probabilities(gates)) / shares.sum(/*dim=*/1);
    }
    case spec::BalanceLoss::kSoftSwitch:
      return agreement(mean_weights(gates), mean_probabilities(gates));
    case spec::BalanceLoss::kImportance:
      return cv2(mean_weights(gates));
    case spec::BalanceLoss::kEntropy:
      return stack_of(gates, [&](const nn::GateRecord& g) {
        return entropy(g.probabilities, loss.entropy).mean();
      });
    case spec::BalanceLoss::kZ:
      return stack_of(gates, [](const nn::GateRecord& g) {
        return g.logits.logsumexp(/*dim=*/1).square().mean();
      });
    case spec::BalanceLoss::kLocalized:
    case spec::BalanceLoss::kLocalizedPaper:
    case spec::BalanceLoss::kTaskCrossEntropy:
      return stack_of(gates, [&](const nn::GateRecord& g) { return task_loss(loss, g, segments); });
  }
  return {};
}

}  // namespace

at::Tensor balance_loss(const spec::LossSpec& loss, const nn::RouterLog& log) {
  std::map<int64_t, Gates> by_experts;  // layers may have different numbers of them
  for (nn::GateRecord& gate : pool_gates(log, loss.over))
    by_experts[gate.probabilities.size(1)].push_back(std::move(gate));
  std::vector<at::Tensor> values;
  for (const auto& [experts, gates] : by_experts)
    values.push_back(values_of(loss, gates, log.segments));
  const at::Tensor each = at::cat(values);
  return loss.over == spec::LossOver::kGatesMean ? each.mean() : each.sum();
}

}  // namespace lmoe::mixture
