#include "mixture/group_loss.h"

#include <ATen/ATen.h>

#include "mixture/allowed_experts.h"
#include "mixture/balance_loss.h"

namespace lmoe::mixture {
namespace {

/// Positions of the tokens of one group.
at::Tensor tokens_of(const std::vector<TokenGroup>& groups, int64_t index) {
  std::vector<at::Tensor> parts;
  for (const TokenGroup& group : groups)
    if (group.index == index)
      parts.push_back(at::arange(group.start, group.start + group.length, at::kLong));
  return parts.empty() ? at::Tensor() : at::cat(parts);
}

/// Its own experts, then those of everybody.
at::Tensor experts_of(const spec::SelectSpec& select, int64_t index, int64_t experts) {
  const int64_t own = select.private_experts;
  return at::cat({at::arange(index * own, (index + 1) * own, at::kLong),
                  at::arange(select.private_groups() * own, experts, at::kLong)});
}

nn::GateRecord part_of(const nn::GateRecord& record,
                       const at::Tensor& tokens,
                       const spec::SelectSpec& select,
                       int64_t index) {
  const at::Device device = record.probabilities.device();
  const at::Tensor rows = tokens.to(device);
  const at::Tensor experts = experts_of(select, index, record.probabilities.size(1)).to(device);
  const auto cut = [&](const at::Tensor& table) {
    return table.defined() ? table.index_select(0, rows).index_select(1, experts) : table;
  };
  nn::GateRecord part = record;
  part.probabilities = cut(record.probabilities);
  part.weights = cut(record.weights);
  part.selected = cut(record.selected);
  part.logits = cut(record.logits);
  return part;
}

}  // namespace

at::Tensor group_loss(const spec::LossSpec& loss,
                      const spec::SelectSpec& select,
                      const nn::RouterLog& log) {
  const std::vector<TokenGroup> groups = token_groups(log.segments, select);
  at::Tensor total = at::zeros({}, log.records.front().probabilities.options());
  for (int64_t index = 0; index < select.private_groups(); ++index) {
    const at::Tensor tokens = tokens_of(groups, index);
    if (!tokens.defined()) continue;
    nn::RouterLog own;
    for (const nn::GateRecord& record : log.records)
      own.records.push_back(part_of(record, tokens, select, index));
    total = total + balance_loss(loss, own);
  }
  return total;
}

}  // namespace lmoe::mixture
