// The oracle: a mixture on one group of projections, token by token, expert by expert, in plain
// loops over doubles. Slow and obvious on purpose; it shares no code with what it checks.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "mixture/site_bank.h"

namespace lmoe::test {

using Vector = std::vector<double>;

inline Vector row(const at::Tensor& matrix, int64_t index) {
  const at::Tensor values = matrix.detach()[index].to(at::kDouble).contiguous();
  return Vector(values.data_ptr<double>(), values.data_ptr<double>() + values.numel());
}

inline Vector times(const at::Tensor& matrix, const Vector& x) {
  Vector y;
  for (int64_t i = 0; i < matrix.size(0); ++i) {
    const Vector weights = row(matrix, i);
    double sum = 0;
    for (size_t j = 0; j < x.size(); ++j) sum += weights[j] * x[j];
    y.push_back(sum);
  }
  return y;
}

inline Vector softmax(const Vector& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  Vector p;
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - largest);
  for (const double z : logits) p.push_back(std::exp(z - largest) / sum);
  return p;
}

/// Logits of gate `g` of the stacked gates, before the temperature.
inline Vector naive_logits(const spec::MixtureSpec& spec,
                           const mixture::Gate& gate,
                           int64_t g,
                           const Vector& h) {
  const int64_t experts = gate.experts();
  const auto tensors = gate.tensors();
  if (spec.gate.net == spec::GateNet::kLinear)
    return times(tensors[0].tensor.slice(0, g * experts, (g + 1) * experts), h);
  const int64_t width = spec.gate.hidden_size;
  Vector hidden = times(tensors[0].tensor.slice(0, g * width, (g + 1) * width), h);
  for (double& value : hidden) value /= 1 + std::exp(-value);
  return times(tensors[1].tensor.slice(0, g * experts, (g + 1) * experts), hidden);
}

/// Scores of the experts in `left`; `bias` is empty without one.
inline Vector naive_scores(const spec::MixtureSpec& spec,
                           const Vector& logits,
                           const Vector& bias,
                           const std::vector<size_t>& left) {
  Vector kept;
  for (const size_t i : left) kept.push_back(logits[i]);
  if (spec.normalize != spec::Normalize::kSigmoid && spec.normalize != spec::Normalize::kSumToK)
    return softmax(kept);
  for (size_t j = 0; j < kept.size(); ++j) {
    kept[j] = 1 / (1 + std::exp(-kept[j]));
    if (spec.bias.use == spec::BiasUse::kScore) kept[j] += bias[left[j]];
  }
  return kept;
}

inline Vector naive_weights(const spec::MixtureSpec& spec,
                            Vector logits,
                            const Vector& bias,
                            int disabled) {
  for (double& z : logits) z /= spec.gate.temperature;
  std::vector<size_t> left;
  for (size_t i = 0; i < logits.size(); ++i)
    if (static_cast<int>(i) != disabled) left.push_back(i);
  Vector weights(logits.size(), 0.0);
  if (left.empty()) return weights;
  const Vector scores = naive_scores(spec, logits, bias, left);
  Vector ranking = scores;
  if (spec.bias.use == spec::BiasUse::kSelection) {
    for (size_t j = 0; j < left.size(); ++j) ranking[j] = logits[left[j]] + bias[left[j]];
  }
  std::vector<size_t> order(left.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ranking[a] > ranking[b]; });
  const bool sparse = spec.select.kind == spec::SelectKind::kTopK;
  if (sparse) order.resize(std::min(order.size(), static_cast<size_t>(*spec.select.k)));
  double sum = 0;
  for (const size_t i : order) sum += scores[i];
  for (const size_t i : order) {
    double& weight = weights[left[i]];
    switch (spec.normalize) {
      case spec::Normalize::kSoftmax:
      case spec::Normalize::kSigmoid:
        weight = scores[i];
        break;
      case spec::Normalize::kSoftmaxSelected:
      case spec::Normalize::kRenormalize:
        weight = scores[i] / sum;
        break;
      case spec::Normalize::kSumToK:
        weight = static_cast<double>(order.size()) * scores[i] / sum;
        break;
      case spec::Normalize::kConstant:
        weight = 1;
        break;
    }
  }
  return weights;
}

/// A_i and B_i of one expert, whatever the kind keeps of it; cores become part of B.
inline mixture::ExpertFactors naive_factors(const spec::MixtureSpec& spec,
                                            const mixture::ExpertBank& bank,
                                            size_t target,
                                            int64_t expert) {
  switch (spec.experts.kind) {
    case spec::ExpertKind::kLora:
    case spec::ExpertKind::kSharedA:
      return bank.folder_factors(target, expert);
    case spec::ExpertKind::kRankOne: {
      const mixture::ExpertFactors all = bank.folder_factors(target, 0);
      return {all.a.slice(0, expert, expert + 1), all.b.slice(1, expert, expert + 1)};
    }
    case spec::ExpertKind::kCore: {
      const mixture::ExpertFactors shared = bank.folder_factors(target, 0);
      const at::Tensor cores = bank.other_tensors()[0].tensor;
      const at::Tensor core = cores[static_cast<int64_t>(target) * bank.experts() + expert];
      return {shared.a, at::matmul(shared.b, core)};
    }
  }
  return {};
}

/// What projection `target` of the bank adds to its frozen output for one token.
inline Vector naive_delta(const spec::MixtureSpec& spec,
                          const mixture::ExpertBank& bank,
                          size_t target,
                          const Vector& w,
                          const Vector& x) {
  std::vector<mixture::ExpertFactors> experts;
  for (size_t i = 0; i < w.size(); ++i)
    experts.push_back(naive_factors(spec, bank, target, static_cast<int64_t>(i)));
  Vector mean_down(static_cast<size_t>(spec.experts.rank), 0.0);
  for (size_t i = 0; i < w.size(); ++i) {
    const Vector down = times(experts[i].a, x);
    for (size_t r = 0; r < mean_down.size(); ++r) mean_down[r] += w[i] * down[r];
  }
  Vector delta(static_cast<size_t>(bank.targets()[target].out), 0.0);
  for (size_t i = 0; i < w.size(); ++i) {
    const bool deltas = spec.apply == spec::Apply::kDeltas;
    const Vector up = times(experts[i].b, deltas ? times(experts[i].a, x) : mean_down);
    for (size_t o = 0; o < delta.size(); ++o) delta[o] += spec.scaling() * w[i] * up[o];
  }
  return delta;
}

/// What the gate of projection `target` reads for token `t`.
inline Vector naive_gate_input(const spec::MixtureSpec& spec,
                               const mixture::ExpertBank& bank,
                               size_t target,
                               const Vector& x,
                               const Vector& block_input) {
  if (spec.gate.source == spec::GateSource::kBlockInput) return block_input;
  if (spec.gate.source == spec::GateSource::kRankActivation)
    return times(bank.folder_factors(target, 0).a, x);
  return x;
}

/// Adds to the outputs of the projections of one group what the bank adds to each.
inline void naive_add(const spec::MixtureSpec& spec,
                      const mixture::SiteBank& bank,
                      const at::Tensor& x,
                      const at::Tensor& block_input,
                      int disabled,
                      std::vector<at::Tensor>& outputs) {
  for (size_t p = 0; p < bank.bank().targets().size(); ++p) {
    at::Tensor& output = outputs[bank.bank().targets()[p].linear];
    for (int64_t t = 0; t < x.size(0); ++t) {
      Vector w = {disabled == 0 ? 0.0 : 1.0};
      if (bank.gate()) {
        const int64_t g = spec.gate.share == spec::GateShare::kBlock ? 0 : static_cast<int64_t>(p);
        const Vector h = naive_gate_input(spec, bank.bank(), p, row(x, t), row(block_input, t));
        const at::Tensor bias = bank.gate()->bias();
        w = naive_weights(spec, naive_logits(spec, *bank.gate(), g, h),
                          bias.defined() ? row(bias, g) : Vector(), disabled);
      }
      const Vector delta = naive_delta(spec, bank.bank(), p, w, row(x, t));
      output[t] += at::tensor(delta, at::kDouble);
    }
  }
}

/// Outputs of all projections of `group`, number `index` of its model, for x [N, in] and
/// block_input [N, H].
inline std::vector<at::Tensor> naive_forward(const mixture::Mixture& mixture,
                                             const nn::ProjectionGroup& group,
                                             size_t index,
                                             const at::Tensor& x,
                                             const at::Tensor& block_input,
                                             int disabled = -1) {
  const spec::MixtureSpec& spec = mixture.spec();
  std::vector<at::Tensor> outputs;
  for (const nn::FrozenLinear& linear : group.linears())
    outputs.push_back(at::linear(x, linear.weight, linear.bias));
  for (const auto& bank : mixture.banks())
    if (bank->group() == index) naive_add(spec, *bank, x, block_input, disabled, outputs);
  for (const auto& bank : mixture.plain_banks())
    if (bank->group() == index)
      naive_add(spec.plain_part(), *bank, x, block_input, /*disabled=*/-1, outputs);
  return outputs;
}

}  // namespace lmoe::test
