// The oracle of mixtures of whole FFNs: every expert's FFN with its own merged weights, token by
// token, weighted and summed.
#pragma once

#include "mixture/ffn_experts.h"
#include "reference.h"

namespace lmoe::test {

/// W x + b with what expert `e` of `bank` adds to W of projection `linear`; `bank` may be null.
inline Vector naive_linear(const nn::FrozenLinear& frozen,
                           size_t linear,
                           const mixture::ExpertBank* bank,
                           int64_t e,
                           const Vector& x) {
  at::Tensor weight = frozen.weight.expand();
  for (size_t t = 0; bank != nullptr && e >= 0 && t < bank->targets().size(); ++t) {
    if (bank->targets()[t].linear != linear) continue;
    const mixture::ExpertFactors factors = bank->folder_factors(t, e);
    weight = weight + bank->scaling() * at::matmul(factors.b, factors.a);
  }
  Vector y = times(weight, x);
  if (frozen.bias.defined())
    for (size_t i = 0; i < y.size(); ++i) y[i] += row(frozen.bias.unsqueeze(0), 0)[i];
  return y;
}

/// The FFN of expert `e`, or the frozen one for -1; its activation is SiLU.
inline Vector naive_expert(const mixture::FfnExperts& experts,
                           const nn::GatedMlp& mlp,
                           int64_t e,
                           const Vector& x) {
  const mixture::ExpertBank *inner = nullptr, *outer = nullptr;
  for (const mixture::ExpertBank* bank : experts.banks())
    (bank->targets()[0].site.ends_with("down_proj") ? outer : inner) = bank;
  Vector gate = naive_linear(mlp.gate_up().linears()[0], 0, inner, e, x);
  const Vector up = naive_linear(mlp.gate_up().linears()[1], 1, inner, e, x);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] *= up[i] / (1 + std::exp(-gate[i]));
  return naive_linear(mlp.down().linears()[0], 0, outer, e, gate);
}

inline Vector naive_ffn_token(const mixture::FfnExperts& experts,
                              const nn::GatedMlp& mlp,
                              const Vector& w,
                              const Vector& x) {
  Vector y(x.size(), 0.0);
  for (size_t e = 0; e < w.size(); ++e) {
    if (w[e] == 0) continue;
    const Vector out = naive_expert(experts, mlp, static_cast<int64_t>(e), x);
    for (size_t i = 0; i < y.size(); ++i) y[i] += w[e] * out[i];
  }
  return y;
}

/// x [N, H] -> [N, H]; `read` [N, H] is what the gate reads.
inline at::Tensor naive_ffn(const spec::MixtureSpec& spec,
                            const mixture::FfnExperts& experts,
                            const nn::GatedMlp& mlp,
                            const at::Tensor& x,
                            const at::Tensor& read,
                            int disabled,
                            NaiveRecurrent& recurrent) {
  std::vector<at::Tensor> rows;
  for (int64_t t = 0; t < x.size(0); ++t) {
    const Vector token = row(x, t);
    Vector w = {1.0};
    if (experts.gate()) {
      const at::Tensor bias = experts.gate()->bias();
      const int64_t g =
          naive_gate_index(spec, *experts.gate(), experts.banks().front()->targets().front(), 0);
      const Vector logits =
          naive_token_logits(spec, *experts.gate(), g, t, row(read, t), recurrent).front();
      w = naive_weights(spec, logits, bias.defined() ? row(bias, 0) : Vector(), disabled);
    }
    const bool nobody = w.size() == 1 && disabled == 0;
    rows.push_back(at::tensor(
        nobody ? naive_expert(experts, mlp, -1, token) : naive_ffn_token(experts, mlp, w, token),
        at::kDouble));
  }
  return at::stack(rows);
}

}  // namespace lmoe::test
