// What knows where the prompt of a document ends: gates that decide once per prompt, and experts of
// prompts and of answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/balance_loss.h"
#include "mixture/gate.h"
#include "mixture/site_bank.h"
#include "routing.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 9;

/// Prompts of 2 of 4 and of 3 of 5 tokens.
std::vector<nn::Segment> two_documents() {
  return {{.start = 0, .length = 4, .prompt = 2}, {.start = 4, .length = 5, .prompt = 3}};
}

class PromptTest : public ::testing::Test {
 protected:
  void make(const std::string& section) {
    mixture_ = std::make_unique<Mixture>(read_section(section), model_.sockets(), 3, at::kDouble);
    randomize(*mixture_, 5);
    mixture_->plug(model_.sockets());
  }
  void make_pooled(const std::string& more) {
    make("{experts: {count: 3, rank: 2}, target_modules: [q_proj, up_proj], losses: [], " + more +
         "}");
  }

  at::Tensor forward(const at::Tensor& h, std::vector<nn::Segment> segments) {
    nn::ForwardContext context;
    log_ = {};
    log_.segments = segments;
    context.router_log = &log_;
    context.segments = std::move(segments);
    return model_.forward(h, context);
  }

  at::Tensor parameter(const std::string& name) const {
    for (const nn::NamedTensor& one : mixture_->parameters())
      if (one.name.find(name) != std::string::npos) return one.tensor;
    ADD_FAILURE() << name;
    return {};
  }

  TinyModel model_{2};
  std::unique_ptr<Mixture> mixture_;
  nn::RouterLog log_;
  at::Tensor h_ = numbers({kTokens, kHidden}, 1, at::kDouble);
};

TEST_F(PromptTest, AllTokensOfADocumentShareTheMeanOfItsPrompt) {
  make_pooled(" normalize: logits, gate: {pool: prompt, init_bias: 0.3}");
  forward(h_, two_documents());
  const at::Tensor weights = log_.records.at(0).weights;
  // q_proj of the first layer reads tanh(h).
  const at::Tensor each =
      at::linear(at::tanh(h_), parameter(".gate.weight"), parameter(".gate.offset"));
  for (const nn::Segment& document : log_.segments) {
    const at::Tensor mean = each.narrow(0, document.start, document.prompt).mean(0);
    EXPECT_LT(max_difference(weights.narrow(0, document.start, document.length),
                             mean.expand({document.length, 3})),
              1e-14);
  }
}

TEST_F(PromptTest, ABatchEqualsItsDocumentsOneByOne) {
  for (const char* gate : {"gate: {pool: prompt}, top_k: 2", "gate: {pool: prompt, net: recurrent}",
                           "gate: {pool: prompt, source: block_input, share: block}"}) {
    make_pooled(gate);
    const at::Tensor together = forward(h_, two_documents());
    for (const nn::Segment& document : two_documents()) {
      const at::Tensor alone =
          forward(h_.narrow(0, document.start, document.length),
                  {{.start = 0, .length = document.length, .prompt = document.prompt}});
      EXPECT_LT(max_difference(together.narrow(0, document.start, document.length), alone), 1e-12);
    }
    mixture_->unplug(model_.sockets());
  }
}

TEST_F(PromptTest, AnswersHaveNoSayInWhatTheirPromptDecided) {
  make_pooled(" gate: {pool: prompt}, top_k: 2");
  const at::Tensor before = forward(h_, two_documents());
  h_.narrow(0, 2, 2).mul_(-1);  // the first answer
  const at::Tensor after = forward(h_, two_documents());
  EXPECT_EQ(max_difference(before.narrow(0, 0, 2), after.narrow(0, 0, 2)), 0.0);
  EXPECT_EQ(max_difference(before.narrow(0, 4, 5), after.narrow(0, 4, 5)), 0.0);
}

TEST_F(PromptTest, WithoutWeightsOfTheGateItIsTaskArithmetic) {
  make_pooled(" normalize: logits, gate: {pool: prompt, init_bias: 0.3}");
  const auto set_gates = [&](const at::Tensor& bias) {
    const at::NoGradGuard no_grad;
    for (const nn::NamedTensor& one : mixture_->parameters()) {
      if (one.name.ends_with(".gate.weight")) one.tensor.zero_();
      if (one.name.ends_with(".gate.offset")) one.tensor.copy_(bias.repeat(one.tensor.numel() / 3));
    }
  };
  set_gates(at::full({3}, 0.3, at::kDouble));
  forward(h_, two_documents());
  for (const nn::GateRecord& record : log_.records)
    EXPECT_LT(max_difference(record.weights, at::full({kTokens, 3}, 0.3, at::kDouble)), 1e-15);
  // One weight of 1 is that expert alone.
  set_gates(at::tensor({0.0, 1.0, 0.0}, at::kDouble));
  const at::Tensor one_hot = forward(h_, two_documents());
  set_gates(at::ones({3}, at::kDouble));
  {
    const at::NoGradGuard no_grad;
    for (const auto& bank : mixture_->banks())
      for (const int64_t other : {0, 2}) bank->bank().folder_factors(0, other).b.zero_();
  }
  EXPECT_LT(max_difference(forward(h_, two_documents()), one_hot), 1e-12);
}

TEST_F(PromptTest, PooledGradientsEqualCentralDifferences) {
  make_pooled(" normalize: logits, gate: {pool: prompt, init_bias: 0.3, net: mlp, hidden_size: 3}");
  h_.requires_grad_(true);
  const at::Tensor direction = numbers({kTokens, kHidden}, 2, at::kDouble);
  std::vector<nn::NamedTensor> inputs = mixture_->parameters();
  inputs.push_back({"x", h_});
  check_gradients([&] { return (forward(h_, two_documents()) * direction).sum(); }, inputs);
}

TEST_F(PromptTest, ADocumentWithoutAKnownPromptIsRefused) {
  make_pooled(" gate: {pool: prompt}");
  try {
    forward(h_, {{.start = 0, .length = kTokens}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("where the prompt of each document ends"));
  }
  EXPECT_THROW(read_section("{method: remix, gate: {pool: prompt}}"), Error);
  EXPECT_THROW(read_section("{method: lora, gate: {pool: prompt}}"), Error);
}

class RoleTest : public PromptTest {
 protected:
  /// Expert 0 is of prompts, 1 of answers.
  void make_roles(const std::string& losses = "[]") {
    make("{experts: {count: 5, rank: 2}, top_k: 2, target_modules: [q_proj], losses: " + losses +
         ", select: {private_experts: 1, private_by: role}}");
  }
};

TEST_F(RoleTest, ExpertsOfPromptsAndAnswersAreChosenByTheirTokensAlone) {
  make_roles();
  {
    const at::NoGradGuard no_grad;  // everybody wants both
    for (const nn::NamedTensor& one : mixture_->parameters())
      if (one.name.ends_with(".gate.weight")) one.tensor.mul_(0.01);
    h_.abs_().add_(0.5);
    parameter(".gate.weight").narrow(0, 0, 2).fill_(1);
  }
  forward(h_, two_documents());
  const at::Tensor weights = log_.records.at(0).weights;
  for (const nn::Segment& document : two_documents()) {
    for (int64_t i = 0; i < document.length; ++i) {
      const at::Tensor own = weights[document.start + i];
      EXPECT_EQ(own[0].item<double>() > 0, i < document.prompt);
      EXPECT_EQ(own[1].item<double>() > 0, i >= document.prompt);
    }
  }
  EXPECT_LT(max_difference(weights.sum(1), at::ones({kTokens}, at::kDouble)), 1e-14);
  forward(h_, {{.start = 0, .length = kTokens}});
  EXPECT_EQ(log_.records.at(0).weights.narrow(1, 0, 2).abs().max().item<double>(), 0.0)
      << "nobody's tokens have the experts of everybody";
}

TEST_F(RoleTest, TokensOfOneRoleSeeAnOrdinaryMixtureOfTheirExperts) {
  make_roles();
  forward(h_, {{.start = 0, .length = kTokens, .prompt = kTokens}});
  const at::Tensor weights = log_.records.at(0).weights;
  const std::vector<int64_t> own = {0, 2, 3, 4};
  const at::Tensor index = at::tensor(own, at::kLong);
  const at::Tensor logits =
      at::linear(at::tanh(h_), parameter(".gate.weight").index_select(0, index));
  const Routing expected = route(read_section("{experts: {count: 4, rank: 2}, top_k: 2}"), logits);
  EXPECT_LT(max_difference(weights.index_select(1, index), expected.weights), 1e-14);
}

TEST_F(RoleTest, LossesPerGroupLookAtItsTokensAndExpertsAlone) {
  make_roles("[{kind: topk_switch, per_group: true, coef: 1}]");
  forward(h_, two_documents());
  log_.records.resize(1);  // of the layer that reads the input
  const double value = mixture_->auxiliary_loss(log_).item<double>();
  const at::Tensor logits = at::linear(at::tanh(h_), parameter(".gate.weight"));
  const std::vector<std::vector<int64_t>> tokens = {{0, 1, 4, 5, 6}, {2, 3, 7, 8}};
  const std::vector<std::vector<int64_t>> experts = {{0, 2, 3, 4}, {1, 2, 3, 4}};
  double expected = 0;
  for (size_t group = 0; group < 2; ++group) {
    const at::Tensor own = logits.index_select(0, at::tensor(tokens[group], at::kLong))
                               .index_select(1, at::tensor(experts[group], at::kLong));
    const Routing routing = route(read_section("{experts: {count: 4, rank: 2}, top_k: 2}"), own);
    expected +=
        4 * (routing.selected.to(at::kDouble).mean(0) * routing.scores.probabilities.mean(0))
                .sum()
                .item<double>();
  }
  EXPECT_NEAR(value, expected, 1e-12);
  EXPECT_NEAR(mixture_->losses_if_uniform().at("topk_switch"), 2 * 2, 1e-12) << "k for each group";
}

TEST_F(RoleTest, WhatCannotActIsRefused) {
  EXPECT_THAT(refusal_of("{select: {private_by: role}}"), HasSubstr("private_by cannot act"));
  EXPECT_THAT(refusal_of("{experts: {count: 4}, losses: [], select: {private_experts: 1,"
                         " private_by: role, groups: 2}}"),
              HasSubstr("prompts and answers"));
  EXPECT_THAT(refusal_of("{losses: [{kind: cv2, per_group: true}]}"),
              HasSubstr("private_experts 0"));
  EXPECT_THAT(refusal_of("{experts: {count: 4}, losses: [], select: {private_experts: 2,"
                         " private_by: role}}"),
              HasSubstr("for each of 2 roles, which leaves 0 of 4"));
}

}  // namespace
}  // namespace lmoe::test
