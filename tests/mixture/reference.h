// The oracle: a mixture on one group of projections, token by token, expert by expert, in plain
// loops over doubles. Slow and obvious on purpose; it shares no code with what it checks.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "mixture/site_bank.h"
#include "reference_gate.h"

namespace lmoe::test {

inline Vector softmax(const Vector& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  Vector p;
  double sum = 0;
  for (const double z : logits) sum += std::exp(z - largest);
  for (const double z : logits) p.push_back(std::exp(z - largest) / sum);
  return p;
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

/// (1 - sum (p + epsilon)^q) / (q - 1) over all `experts`; those not in `p` have probability 0.
inline double naive_entropy(const spec::EntropySpec& spec, const Vector& p, size_t experts) {
  const double q = spec.order, n = static_cast<double>(experts);
  if (q == 1) {
    double sum = 0;
    for (const double one : p) sum -= (one + spec.epsilon) * std::log(one + spec.epsilon);
    return spec.normalized ? sum / std::log(n) : sum;
  }
  double sum = 1 - static_cast<double>(experts - p.size()) * std::pow(spec.epsilon, q);
  for (const double one : p) sum -= std::pow(one + spec.epsilon, q);
  return spec.normalized ? sum / (1 - std::pow(n, 1 - q)) : sum / (q - 1);
}

/// How many of the experts in `order` (best first) take part in a token.
inline size_t naive_count(const spec::SelectSpec& select,
                          const Vector& scores,
                          const std::vector<size_t>& order,
                          size_t experts) {
  const auto least = std::min(order.size(), static_cast<size_t>(select.k.value_or(0)));
  const auto by_sum = [&] {
    double sum = 0;
    for (size_t n = 0; n < order.size(); ++n) {
      const double before = sum;
      sum += scores[order[n]];
      if (std::min(1.0, select.include_crossing ? before : sum) > *select.top_p)
        return std::max(n, least);
    }
    return order.size();
  };
  switch (select.kind) {
    case spec::SelectKind::kAll:
      return order.size();
    case spec::SelectKind::kTopK:
    case spec::SelectKind::kSample:
      return least;
    case spec::SelectKind::kTopP:
      return by_sum();
    case spec::SelectKind::kThreshold: {
      const auto reaches = [&](size_t i) { return scores[i] >= *select.threshold; };
      const auto count = std::count_if(order.begin(), order.end(), reaches);
      return std::max(static_cast<size_t>(count), least);
    }
    case spec::SelectKind::kEntropySwitch:
      return naive_entropy(select.entropy, scores, experts) > *select.threshold ? order.size()
                                                                                : by_sum();
  }
  return 0;
}

inline Vector naive_weights(const spec::MixtureSpec& spec,
                            Vector logits,
                            const Vector& bias,
                            int disabled) {
  if (spec.gate.net != spec::GateNet::kNearest)  // whose temperature is that of distances
    for (double& z : logits) z /= spec.gate.temperature;
  std::vector<size_t> left;
  for (size_t i = 0; i < logits.size(); ++i)
    if (static_cast<int>(i) != disabled && static_cast<int64_t>(i) >= spec.private_total())
      left.push_back(i);  // texts of the suite belong to no task
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
  order.resize(naive_count(spec.select, scores, order, logits.size()));
  double sum = 0;
  double sum_of_exponentials = 0;
  for (const size_t i : order) sum += scores[i];
  for (const size_t i : order) sum_of_exponentials += std::exp(scores[i]);
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
      case spec::Normalize::kLogits:
        weight = logits[left[i]];
        break;
      case spec::Normalize::kBounded:
        weight = 1 + 0.2 * std::tanh(logits[left[i]]);
        break;
      case spec::Normalize::kSoftmaxTwice:
        weight = std::exp(scores[i]) / sum_of_exponentials;
        break;
    }
  }
  if (spec.select.inference_threshold) {
    for (size_t i = 0; i < logits.size(); ++i)
      if (logits[i] * spec.gate.temperature < *spec.select.inference_threshold) weights[i] = 0;
  }
  return weights;
}

/// (B A) ⊗ K of one expert, cropped to [out, in].
inline at::Tensor naive_kronecker(const spec::MixtureSpec& spec,
                                  const mixture::ExpertBank& bank,
                                  size_t target,
                                  int64_t expert) {
  const auto tensors = bank.other_tensors();
  const at::Tensor a = tensors[3 * target].tensor, b = tensors[3 * target + 1].tensor;
  const int64_t size = spec.experts.kernel_sizes[static_cast<size_t>(expert)];
  int64_t first = 0;
  for (int64_t i = 0; i < expert; ++i) {
    const int64_t side = spec.experts.kernel_sizes[static_cast<size_t>(i)];
    first += side * side;
  }
  const at::Tensor kernel = tensors[3 * target + 2].tensor.slice(0, first, first + size * size);
  const int64_t in = bank.in(), out = bank.targets()[target].out;
  const at::Tensor small =
      at::matmul(b.slice(0, 0, (out + size - 1) / size), a.slice(1, 0, (in + size - 1) / size));
  return at::kron(small, kernel.view({size, size})).slice(0, 0, out).slice(1, 0, in);
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
      return {all.a.slice(0, expert, expert + 1), all.b.slice(1, expert, expert + 1), {}};
    }
    case spec::ExpertKind::kCore: {
      const mixture::ExpertFactors shared = bank.folder_factors(target, 0);
      const at::Tensor core = bank.other_tensors()[target].tensor[expert];
      return {shared.a, at::matmul(shared.b, core), {}};
    }
    case spec::ExpertKind::kKronecker:
      return {at::eye(bank.in(), at::kDouble), naive_kronecker(spec, bank, target, expert), {}};
    case spec::ExpertKind::kResidual:
      break;  // see residual_reference.h
  }
  return {};
}

/// sum_i w_i (W_i - W) x, where W_i has the rows of W + s B A at the lengths the magnitude says.
inline Vector naive_dora_delta(const spec::MixtureSpec& spec,
                               const mixture::ExpertBank& bank,
                               size_t target,
                               const Vector& w,
                               const Vector& x) {
  const at::Tensor& base = bank.targets()[target].weight.expand();
  Vector delta(static_cast<size_t>(base.size(0)), 0.0);
  const Vector before = times(base, x);
  for (size_t i = 0; i < w.size(); ++i) {
    const mixture::ExpertFactors expert = bank.folder_factors(target, static_cast<int64_t>(i));
    const at::Tensor turned = base + spec.scaling() * at::matmul(expert.b, expert.a);
    const Vector after = times(turned, x);
    for (size_t o = 0; o < delta.size(); ++o) {
      double squares = 0;
      for (const double value : row(turned, static_cast<int64_t>(o))) squares += value * value;
      const double length = expert.magnitude[static_cast<int64_t>(o)].item<double>();
      delta[o] += w[i] * (length / std::sqrt(squares) * after[o] - before[o]);
    }
  }
  return delta;
}

/// What projection `target` of the bank adds to its frozen output for one token.
inline Vector naive_delta(const spec::MixtureSpec& spec,
                          const mixture::ExpertBank& bank,
                          size_t target,
                          const Vector& w,
                          const Vector& x) {
  if (spec.experts.use_dora) return naive_dora_delta(spec, bank, target, w, x);
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

/// What projection `target` of the bank adds for one token, `choices` being the weights of each
/// choice of its gate.
inline Vector naive_delta_of_choices(const spec::MixtureSpec& spec,
                                     const mixture::ExpertBank& bank,
                                     size_t target,
                                     const std::vector<Vector>& choices,
                                     const Vector& x) {
  if (spec.experts.kind == spec::ExpertKind::kResidual)
    return NaiveResidual{spec, bank, target, choices, x}.delta();
  return naive_delta(spec, bank, target, choices.front(), x);
}

/// Position of a target among the choices of its gate.
inline int64_t naive_gate_index(const spec::MixtureSpec& spec,
                                const mixture::Gate& gate,
                                const mixture::BankTarget& target,
                                size_t position) {
  if (spec.gate.share == spec::GateShare::kProjection) return static_cast<int64_t>(position);
  for (size_t i = 0; i < gate.sites().size(); ++i)
    if ((target.site + ".").starts_with(gate.sites()[i].name + ".")) return static_cast<int64_t>(i);
  return 0;
}

/// What the gate of projection `target` reads for token `t`; `block_input` is what the model ends
/// with for gates that read that.
inline Vector naive_gate_input(const spec::MixtureSpec& spec,
                               const mixture::ExpertBank& bank,
                               size_t target,
                               const Vector& x,
                               const Vector& block_input) {
  if (spec.gate.source == spec::GateSource::kBlockInput ||
      spec.gate.source == spec::GateSource::kLastHidden ||
      spec.gate.source == spec::GateSource::kEmbedding)
    return block_input;
  if (spec.gate.source == spec::GateSource::kTaskId) {  // contexts of the suite name no task
    Vector one_hot(static_cast<size_t>(spec.experts.count), 0.0);
    one_hot[static_cast<size_t>(*spec.gate.default_task)] = 1;
    return one_hot;
  }
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
                      NaiveRecurrent& recurrent,
                      std::vector<at::Tensor>& outputs) {
  for (size_t p = 0; p < bank.bank().targets().size(); ++p) {
    at::Tensor& output = outputs[bank.bank().targets()[p].linear];
    for (int64_t t = 0; t < x.size(0); ++t) {
      std::vector<Vector> choices = {{disabled == 0 ? 0.0 : 1.0}};
      if (bank.gate()) {
        const int64_t g = naive_gate_index(spec, *bank.gate(), bank.bank().targets()[p], p);
        const Vector h = naive_gate_input(spec, bank.bank(), p, row(x, t), row(block_input, t));
        const at::Tensor bias = bank.gate()->bias();
        choices.clear();
        for (const Vector& logits : naive_token_logits(spec, *bank.gate(), g, t, h, recurrent)) {
          const auto choice = g * naive_choice_count(spec) + static_cast<int64_t>(choices.size());
          choices.push_back(
              naive_weights(spec, logits, bias.defined() ? row(bias, choice) : Vector(), disabled));
        }
      }
      const Vector delta = naive_delta_of_choices(spec, bank.bank(), p, choices, row(x, t));
      output[t] += at::tensor(delta, at::kDouble);
    }
  }
}

/// Outputs of all projections of `group`, number `index` of its model, for x [N, in] and
/// block_input [N, H]. `recurrent` knows the groups before it of the same forward.
inline std::vector<at::Tensor> naive_forward(const mixture::Mixture& mixture,
                                             const nn::ProjectionGroup& group,
                                             size_t index,
                                             const at::Tensor& x,
                                             const at::Tensor& block_input,
                                             const at::Tensor& last_hidden,
                                             int disabled,
                                             NaiveRecurrent& recurrent) {
  const spec::MixtureSpec& spec = mixture.spec();
  const bool reads_end_or_beginning = spec.gate.source == spec::GateSource::kLastHidden ||
                                      spec.gate.source == spec::GateSource::kEmbedding;
  const at::Tensor& read = reads_end_or_beginning ? last_hidden : block_input;
  std::vector<at::Tensor> outputs;
  for (const nn::FrozenLinear& linear : group.linears())
    outputs.push_back(at::linear(x, linear.weight.expand(), linear.bias));
  for (const auto& bank : mixture.banks())
    if (bank->group() == index) naive_add(spec, *bank, x, read, disabled, recurrent, outputs);
  for (const auto& bank : mixture.plain_banks())
    if (bank->group() == index)
      naive_add(spec.plain_part(), *bank, x, block_input, /*disabled=*/-1, recurrent, outputs);
  return outputs;
}

}  // namespace lmoe::test
