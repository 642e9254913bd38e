#include "mixture/task_loss.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::mixture {
namespace {

void check_segments(const spec::LossSpec& loss,
                    const nn::GateRecord& gate,
                    const std::vector<nn::Segment>& segments,
                    int64_t tasks) {
  int64_t tokens = 0;
  for (const nn::Segment& segment : segments) {
    tokens += segment.length;
    LMOE_CHECK_ARG(segment.task >= 0 && segment.task < tasks, "[auxiliary_loss] ",
                   enum_name(loss.kind), " needs the task of each document: given task ",
                   segment.task, ", expected 0 to ", tasks - 1,
                   "; hint: one entry of `datasets` per task");
  }
  LMOE_CHECK_ARG(tokens == gate.logits.size(0), "[auxiliary_loss] ", enum_name(loss.kind),
                 " needs the documents of the router log: given ", tokens, " tokens in ",
                 segments.size(), " segments, expected ", gate.logits.size(0));
}

/// Z [M, E]
at::Tensor weighted_importance(const spec::LossSpec& loss,
                               const nn::GateRecord& gate,
                               const std::vector<nn::Segment>& segments) {
  const int64_t own = gate.probabilities.size(1) / *loss.tasks;
  std::vector<at::Tensor> rows;
  for (const nn::Segment& segment : segments) {
    const at::Tensor p = gate.probabilities.narrow(/*dim=*/0, segment.start, segment.length);
    const at::Tensor q = loss.per_token ? p.mean(/*dim=*/0) : p.sum(/*dim=*/0);
    at::Tensor factors = at::full(q.sizes(), 1.0 - loss.delta, q.options());
    factors.narrow(/*dim=*/0, segment.task * own, own).fill_(1.0 + loss.delta);
    rows.push_back(q * factors);
  }
  return at::stack(rows);
}

at::Tensor localized(const at::Tensor& z, bool is_paper) {
  const at::Tensor mean = z.mean();
  if (is_paper) return z.var(/*unbiased=*/false) / mean;
  if (z.numel() == 1) return z.sum() * 0.0;
  return z.var(/*unbiased=*/true) / (mean * mean + 1e-10);
}

at::Tensor task_of_tokens(const std::vector<nn::Segment>& segments, int64_t tokens) {
  at::Tensor tasks = at::empty({tokens}, at::TensorOptions().dtype(at::kLong));
  for (const nn::Segment& segment : segments)
    tasks.narrow(/*dim=*/0, segment.start, segment.length).fill_(segment.task);
  return tasks;
}

}  // namespace

at::Tensor task_loss(const spec::LossSpec& loss,
                     const nn::GateRecord& gate,
                     const std::vector<nn::Segment>& segments) {
  if (loss.kind == spec::BalanceLoss::kTaskCrossEntropy) {
    check_segments(loss, gate, segments, gate.logits.size(1));
    const at::Tensor tasks = task_of_tokens(segments, gate.logits.size(0));
    return at::cross_entropy_loss(gate.logits, tasks.to(gate.logits.device()));
  }
  LMOE_CHECK_ARG(loss.tasks, "[auxiliary_loss] ", enum_name(loss.kind),
                 " does not know the number of tasks; hint: mixture.losses.0.tasks");
  check_segments(loss, gate, segments, *loss.tasks);
  return localized(weighted_importance(loss, gate, segments),
                   loss.kind == spec::BalanceLoss::kLocalizedPaper);
}

}  // namespace lmoe::mixture
