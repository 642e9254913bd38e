// Parts of gates that any method can use: keys compared by their direction, a choice before the
// first layer, passes whose disagreement counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/change_experts.h"
#include "mixture/gate.h"
#include "mixture/gate_disagreement.h"
#include "routing.h"
#include "support/gradient_check.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

using mixture::Mixture;
using ::testing::HasSubstr;

constexpr int64_t kTokens = 6;

at::Tensor input() { return numbers({kTokens, kHidden}, 1, at::kDouble); }

nn::RouterLog log_of(const TinyModel& model,
                     const at::Tensor& h,
                     bool is_training = false,
                     bool keeps_inputs = false) {
  nn::RouterLog log;
  log.keeps_inputs = keeps_inputs;
  Rng rng(11);
  nn::ForwardContext context;
  context.router_log = &log;
  context.is_training = is_training;
  context.dropout_rng = &rng;
  model.forward(h, context);
  return log;
}

class CosineGate : public ::testing::Test {
 protected:
  CosineGate()
      : mixture_(read_section("{experts: {count: 3, rank: 2}, target_modules: [q_proj],"
                              " gate: {net: cosine}, top_k: 1}"),
                 model_.sockets(),
                 3,
                 at::kDouble) {
    randomize(mixture_, 5);
  }

  at::Tensor cosines(Mixture& mixture) const {
    mixture.plug(model_.sockets());
    at::Tensor logits = log_of(model_, input()).records.at(0).logits;
    mixture.unplug(model_.sockets());
    return logits;
  }

  static at::Tensor keys(const Mixture& mixture) {
    return mixture.gate_parameters().front().tensor.detach();
  }

  TinyModel model_{1};
  Mixture mixture_;
};

TEST_F(CosineGate, TheLengthOfAKeyDoesNotCount) {
  const at::Tensor before = cosines(mixture_);
  EXPECT_LE(before.abs().max().item<double>(), 1.0);
  keys(mixture_)[1] *= 7;
  EXPECT_LT(max_difference(cosines(mixture_), before), 1e-15);
}

TEST_F(CosineGate, AppendingAKeyLeavesTheOthersBitForBit) {
  const at::Tensor before = cosines(mixture_);
  const TempFolder folder;
  mixture_.save(folder.path(), "tiny");
  const auto adapter = folder.path() / "experts" / "expert1";
  mixture_.plug(model_.sockets());
  mixture::GateInputs inputs(mixture_);
  inputs.add(log_of(model_, input(), /*is_training=*/false, /*keeps_inputs=*/true));
  mixture_.unplug(model_.sockets());
  const auto larger = with_expert_added(mixture_, model_.sockets(), "new", adapter, inputs.rows());
  const at::Tensor after = cosines(*larger);
  EXPECT_TRUE(at::equal(after.narrow(1, 0, 3), before));
  // The new key is the mean of what the gate reads on the samples.
  EXPECT_LT(max_difference(keys(*larger)[3], at::tanh(input()).mean(0)), 1e-15);
}

TEST_F(CosineGate, AKeyThatMatchesIsChosen) {
  keys(mixture_)[2].copy_(at::tanh(input())[4] * 0.1);
  const at::Tensor found = cosines(mixture_)[4];
  EXPECT_EQ(found.argmax().item<int64_t>(), 2);
  EXPECT_NEAR(found[2].item<double>(), 1.0, 1e-15);
}

TEST(EmbeddingGate, DecidesOnceForAllLayersFromTheTokensAlone) {
  const TinyModel model(2);
  Mixture mixture(read_section("{experts: {count: 3, rank: 2}, top_k: 1,"
                               " gate: {source: embedding, share: model, layerwise: false}}"),
                  model.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.plug(model.sockets());
  const nn::RouterLog log = log_of(model, input());
  ASSERT_EQ(log.records.size(), 1U);
  EXPECT_EQ(log.records[0].site, "model");
  const at::Tensor weight = mixture.gate_parameters().front().tensor;
  EXPECT_LT(max_difference(log.records[0].logits, at::linear(input(), weight)), 1e-14);
}

TEST(EmbeddingGate, RefusesWhatCannotShareIt) {
  EXPECT_THAT(refusal_of("{gate: {source: embedding, net: classifier}}"),
              HasSubstr("one net for the whole model"));
  EXPECT_THAT(refusal_of("{method: mola, gate: {source: embedding, share: model}}"),
              HasSubstr("count_by_layer"));
  EXPECT_THAT(refusal_of("{method: mixlora, select: {capacity: 4}, gate: {source: embedding,"
                         " share: model}}"),
              HasSubstr("capacity counts the tokens of each FFN"));
  EXPECT_THAT(refusal_of("{gate: {source: input, share: model}}"), HasSubstr("go together"));
}

class Disagreement : public ::testing::Test {
 protected:
  static std::string section(double dropout, int passes) {
    return "{experts: {count: 3, rank: 2}, target_modules: [q_proj], losses: [], gate:"
           " {input_dropout: " +
           std::to_string(dropout) + ", uncertainty_passes: " + std::to_string(passes) + "}}";
  }
  at::Tensor logits(double dropout, int passes, bool is_training) const {
    Mixture mixture(read_section(section(dropout, passes)), model_.sockets(), 3, at::kDouble);
    randomize(mixture, 5);
    mixture.plug(model_.sockets());
    at::Tensor z = log_of(model_, input(), is_training).records.at(0).logits;
    mixture.unplug(model_.sockets());
    return z;
  }
  TinyModel model_{1};
};

TEST_F(Disagreement, WithoutDropoutOrTrainingItIsThePlainGate) {
  const at::Tensor plain = logits(0, 1, true);
  EXPECT_LT(max_difference(mixture::divided_by_disagreement({plain, plain, plain}), plain), 1e-11);
  EXPECT_LT(max_difference(logits(0.4, 5, false), plain), 1e-14);
  EXPECT_GT(max_difference(logits(0.4, 1, true), plain), 1e-3);
  EXPECT_GT(max_difference(logits(0.4, 5, true), logits(0.4, 1, true)), 1e-3);
}

TEST_F(Disagreement, DividesTheMeanByOnePlusTheDeviation) {
  const at::Tensor a = numbers({2, 1, 3}, 1, at::kDouble), b = numbers({2, 1, 3}, 2, at::kDouble);
  const at::Tensor expected = (a + b) / 2 / (1 + (a - b).abs() / 2);
  EXPECT_LT(max_difference(mixture::divided_by_disagreement({a, b}), expected), 1e-15);
}

TEST_F(Disagreement, GradientsEqualCentralDifferences) {
  Mixture mixture(read_section(section(0.4, 3)), model_.sockets(), 3, at::kDouble);
  randomize(mixture, 5);
  mixture.plug(model_.sockets());
  const at::Tensor h = input().requires_grad_(true);
  const at::Tensor direction = numbers({kTokens, kHidden}, 2, at::kDouble);
  std::vector<nn::NamedTensor> inputs = mixture.parameters();
  inputs.push_back({"x", h});
  const auto loss = [&] {
    Rng rng(11);
    nn::ForwardContext context;
    context.is_training = true;
    context.dropout_rng = &rng;
    return (model_.forward(h, context) * direction).sum();
  };
  check_gradients(loss, inputs);
}

}  // namespace
}  // namespace lmoe::test
