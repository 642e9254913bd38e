// What every method computes, against loops over tokens and experts, and its gradients against
// central differences; mixtures of the top k experts in both of their forms.
#pragma once

#include "conformance_fixture.h"
#include "reference.h"
#include "reference_ffn.h"
#include "support/gradient_check.h"

namespace lmoe::test {

inline void Conformance::expect_the_naive_reference() const {
  const TinyModel model(2);
  mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  for (int disabled = -1; disabled < spec_.experts.count; ++disabled) {
    nn::ForwardContext context;
    context.disabled_expert = disabled;
    context.last_hidden = context.embedded = numbers({kTokens, kHidden}, 99, at::kDouble);
    NaiveRecurrent recurrent;
    for (size_t g = 0; g < model.groups().size(); ++g) {
      const nn::ProjectionGroup& group = *model.groups()[g];
      const int64_t width = group.linears().front().weight.columns();
      const at::Tensor block_input = numbers({kTokens, kHidden}, 20 + g / 2, at::kDouble);
      const at::Tensor x = numbers({kTokens, width}, 40 + g, at::kDouble);
      const auto expected = naive_forward(mixture, group, g, x, block_input, context.last_hidden,
                                          disabled, recurrent);
      const auto actual = group.forward({x, block_input}, context);
      ASSERT_EQ(actual.size(), expected.size());
      for (size_t i = 0; i < actual.size(); ++i)
        EXPECT_LT(max_difference(actual[i], expected[i]), 1e-12) << group.linears()[i].module_path;
    }
    for (const auto& experts : mixture.ffn_experts()) {
      const nn::GatedMlp& mlp = *model.sockets().mlps[experts->block()];
      const at::Tensor x = numbers({kTokens, kHidden}, 60 + experts->block(), at::kDouble);
      const at::Tensor& read =
          spec_.gate.source == spec::GateSource::kEmbedding ? context.embedded : x;
      EXPECT_LT(max_difference(mlp.forward(x, context),
                               naive_ffn(spec_, *experts, mlp, x, read, disabled, recurrent)),
                1e-12);
    }
  }
}

inline void Conformance::expect_central_differences() const {
  const TinyModel model(1);
  mixture::Mixture mixture(spec_, model.sockets(), 3, at::kDouble);
  mixture.plug(model.sockets());
  randomize(mixture, 5);
  const at::Tensor h = numbers({kTokens, kHidden}, 1, at::kDouble).requires_grad_(true);
  const at::Tensor direction = numbers({kTokens, kHidden}, 2, at::kDouble);
  const auto loss = [&] {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    log.segments = {{.start = 0, .length = 3, .task = 1}, {.start = 3, .length = 4, .task = 0}};
    at::Tensor total = (model.forward(h, context) * direction).sum();
    const at::Tensor balance = mixture.auxiliary_loss(log);
    return balance.defined() ? total + balance : total;
  };
  std::vector<nn::NamedTensor> inputs = {{"x", h}};
  for (const nn::NamedTensor& parameter : mixture.parameters()) {
    // DoRA's norms are constants to autograd; peft_parity_test has the gradients of its A and B.
    if (spec_.experts.use_dora &&
        (parameter.name.ends_with(".lora_A") || parameter.name.ends_with(".lora_B")))
      continue;
    if (!is_gate_without_gradient(parameter.name)) inputs.push_back(parameter);
  }
  check_gradients(loss, inputs);
}

TEST_P(Conformance, EqualsTheNaiveReference) {
  for (const std::string& table : top_k_tables()) {
    SCOPED_TRACE(table);
    const UsedTopKTable used(table);
    expect_the_naive_reference();
  }
}

TEST_P(Conformance, GradientsEqualCentralDifferences) {
  for (const std::string& table : top_k_tables()) {
    SCOPED_TRACE(table);
    const UsedTopKTable used(table);
    expect_central_differences();
  }
}

}  // namespace lmoe::test
