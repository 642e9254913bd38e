// The oracle of gates: the logits of one token, in plain loops over doubles.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "causal_reference.h"
#include "mixture/gate.h"
#include "recurrent_reference.h"
#include "residual_reference.h"

namespace lmoe::test {

/// A x as logits.
inline Vector naive_self_logits(const spec::MixtureSpec& spec,
                                const mixture::Gate& gate,
                                int64_t g,
                                Vector u) {
  if (spec.bias.use == spec::BiasUse::kActivation) {
    const Vector bias = row(gate.bias(), g);
    for (size_t i = 0; i < u.size(); ++i) u[i] += bias[i];
  }
  double norm = 0;
  for (const double one : u) norm += one * one;
  norm = std::max(std::sqrt(norm), 1e-8);
  for (double& one : u) {
    if (spec.gate.activation == spec::GateActivation::kAbs) one = std::abs(one);
    if (spec.gate.activation == spec::GateActivation::kUnitNorm) one /= norm;
  }
  return u;
}

/// X-LoRA's: linear layers with ReLU between them; of the outputs those of site `g`.
inline Vector naive_classifier(const spec::MixtureSpec& spec,
                               const mixture::Gate& gate,
                               int64_t g,
                               Vector x) {
  const auto tensors = gate.tensors();
  for (int64_t layer = 0; layer < spec.gate.depth; ++layer) {
    const auto index = static_cast<size_t>(2 * layer);
    if (layer > 0)
      for (double& value : x) value = std::max(value, 0.0);
    x = times(tensors[index].tensor, x);
    const at::Tensor bias = tensors[index + 1].tensor.detach();
    for (size_t i = 0; i < x.size(); ++i) x[i] += bias[static_cast<int64_t>(i)].item<double>();
  }
  const auto first = x.begin() + g * gate.experts();
  return Vector(first, first + gate.experts());
}

/// Of the input with the key of each expert.
inline Vector naive_cosines(const mixture::Gate& gate, int64_t g, const Vector& h) {
  Vector cosines;
  for (int64_t e = 0; e < gate.experts(); ++e) {
    const Vector key = row(gate.tensors()[0].tensor, g * gate.experts() + e);
    double product = 0, of_key = 0, of_h = 0;
    for (size_t i = 0; i < h.size(); ++i) {
      product += h[i] * key[i];
      of_key += key[i] * key[i];
      of_h += h[i] * h[i];
    }
    cosines.push_back(product / std::sqrt(of_key * of_h));
  }
  return cosines;
}

/// Of the references by their distance to the input, in each head.
inline Vector naive_nearest(const spec::GateSpec& spec,
                            const mixture::Gate& gate,
                            const Vector& h) {
  const auto& [keys, values] = *gate.references();
  const size_t width = h.size() / static_cast<size_t>(spec.heads);
  Vector probabilities(static_cast<size_t>(gate.experts()), 0.0);
  for (size_t head = 0; head < static_cast<size_t>(spec.heads); ++head) {
    std::vector<std::pair<double, size_t>> found;  // distance and expert
    for (int64_t r = 0; r < keys.size(0); ++r) {
      const Vector key = row(keys, r);
      double distance = 0;
      for (size_t i = head * width; i < (head + 1) * width; ++i)
        distance += (h[i] - key[i]) * (h[i] - key[i]);
      found.emplace_back(distance, values[r].item<int64_t>());
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    found.resize(static_cast<size_t>(spec.neighbours));
    double sum = 0;
    for (auto& [weight, expert] : found) {
      weight = std::exp(-static_cast<double>(spec.heads) * weight / spec.temperature);
      sum += weight;
    }
    for (const auto& [weight, expert] : found)
      probabilities[expert] += weight / sum / static_cast<double>(spec.heads);
  }
  for (double& p : probabilities) p = std::log(p);
  return probabilities;
}

/// Logits of the choices of gate `g` of the stacked gates, before the temperature.
inline std::vector<Vector> naive_logits(const spec::MixtureSpec& spec,
                                        const mixture::Gate& gate,
                                        int64_t g,
                                        const Vector& h) {
  if (spec.gate.net == spec::GateNet::kSelf) return {naive_self_logits(spec, gate, g, h)};
  if (spec.gate.net == spec::GateNet::kClassifier) return {naive_classifier(spec, gate, g, h)};
  if (spec.gate.net == spec::GateNet::kCausal)  // texts of the suite are no documents
    return {NaiveCausal(spec.gate, gate).logits(g, {h})};
  const int64_t experts = gate.experts();
  const auto tensors = gate.tensors();
  if (spec.gate.net == spec::GateNet::kTree) return NaiveTreeGate{spec, gate, g, h}.logits();
  if (spec.gate.net == spec::GateNet::kScalars) {
    Vector own;
    for (int64_t i = 0; i < experts; ++i) own.push_back(row(tensors[0].tensor, g * experts + i)[0]);
    return {own};
  }
  if (spec.gate.net == spec::GateNet::kNearest) return {naive_nearest(spec.gate, gate, h)};
  if (spec.gate.net == spec::GateNet::kCosine) return {naive_cosines(gate, g, h)};
  if (spec.gate.net == spec::GateNet::kLinear)
    return {times(tensors[0].tensor.slice(0, g * experts, (g + 1) * experts), h)};
  const int64_t width = spec.gate.hidden_size;
  Vector hidden = times(tensors[0].tensor.slice(0, g * width, (g + 1) * width), h);
  for (double& value : hidden) value /= 1 + std::exp(-value);
  return {times(tensors[1].tensor.slice(0, g * experts, (g + 1) * experts), hidden)};
}

/// The same of any net for token `t`, with the trained bias of each logit where there is one.
inline std::vector<Vector> naive_token_logits(const spec::MixtureSpec& spec,
                                              const mixture::Gate& gate,
                                              int64_t g,
                                              int64_t t,
                                              const Vector& h,
                                              NaiveRecurrent& recurrent) {
  std::vector<Vector> all = spec.gate.net == spec::GateNet::kRecurrent
                                ? std::vector<Vector>{recurrent.logits(gate, g, t, h)}
                                : naive_logits(spec, gate, g, h);
  if (!spec.gate.init_bias) return all;
  const Vector offsets = row(gate.tensors().back().tensor.unsqueeze(0), 0);
  for (size_t e = 0; e < all[0].size(); ++e)
    all[0][e] += offsets[static_cast<size_t>(g * gate.experts()) + e];
  return all;
}

}  // namespace lmoe::test
