// The acceptance invariants of FlyLoRA (flylora.md). Its naive reference, gradients at a fixed
// selection (the sixth, exact mode) and files are in the conformance suite, the signs of the bias
// update in bias_update_test.cpp.
#include <gtest/gtest.h>

#include "mixture/gate.h"
#include "mixture/site_bank.h"
#include "routing.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kWide = 8, kTokens = 6;

/// One projection, q_proj of a layer with inputs of width 8, that has experts.
class FlyLora : public ::testing::Test {
 protected:
  FlyLora() : model_(1, at::kDouble, kWide), x_(numbers({kTokens, kWide}, 1, at::kDouble)) {}

  mixture::Mixture& make(const std::string& keys) {
    const spec::MixtureSpec spec =
        read_section(concat("{method: flylora, target_modules: [q_proj], ", keys, "}"));
    mixture_ = std::make_unique<mixture::Mixture>(spec, model_.groups(), 3, at::kDouble);
    randomize(*mixture_, 5);
    mixture_->plug(model_.groups());
    return *mixture_;
  }

  const mixture::ExpertBank& bank() const { return mixture_->banks()[0]->bank(); }

  at::Tensor forward(const at::Tensor& x, nn::RouterLog* log = nullptr) const {
    nn::ForwardContext context;
    context.router_log = log;
    return model_.groups()[0]->forward({x, x}, context)[0];
  }

  at::Tensor base(const at::Tensor& x) const {
    const nn::FrozenLinear& linear = model_.groups()[0]->linears()[0];
    return at::linear(x, linear.weight.expand(), linear.bias);
  }

  TinyModel model_;
  std::unique_ptr<mixture::Mixture> mixture_;
  at::Tensor x_;
};

TEST_F(FlyLora, Invariant1AllRanksAndADenseAAreLoraWithAFixedA) {
  make("experts: {count: 4, alpha: 6, a_density: null}, select: {k: 4}");
  const at::Tensor delta = at::linear(at::linear(x_, bank().a()), bank().b(0)) * (6.0 / 4.0);
  EXPECT_LT(max_difference(forward(x_), base(x_) + delta), 1e-14);
}

TEST_F(FlyLora, Invariant2AIsSparseAndNotTrained) {
  const mixture::Mixture& mixture = make("experts: {count: 32, a_density: 0.3}");
  const at::Tensor& a = bank().a();
  EXPECT_TRUE(a.ne(0).sum(1).eq(2).all().item<bool>()) << "floor(0.3 * 8) of each row";
  EXPECT_FALSE(a.requires_grad());
  EXPECT_GT(a.ne(0).any(0).sum().item<int64_t>(), 6) << "the places differ from row to row";
  EXPECT_NEAR(a.square().sum().item<double>() / 64, 1.0 / (32 * 32), 0.4 / (32 * 32));
  ASSERT_EQ(mixture.parameters().size(), 1U);
  EXPECT_EQ(mixture.parameters()[0].name, "layers.0.self_attn.q_proj.lora_B");
}

TEST_F(FlyLora, Invariant3ExactlyKRanksActAndOnlyTheirColumnsLearn) {
  make("experts: {count: 12}, select: {k: 2}");
  nn::RouterLog log;
  forward(x_.slice(0, 0, 3), &log).sum().backward();
  const at::Tensor& selected = log.records[0].selected;
  EXPECT_TRUE(selected.sum(1).eq(2).all().item<bool>());
  const at::Tensor learns = bank().b_rows(0).grad().ne(0).any(1);
  EXPECT_TRUE(at::equal(learns, selected.any(0)));
}

TEST_F(FlyLora, Invariant4ScalingTheInputScalesTheDelta) {
  make("experts: {count: 6}, select: {k: 2}");
  nn::RouterLog one, many;
  const at::Tensor delta = forward(x_, &one) - base(x_);
  const at::Tensor scaled = forward(4 * x_, &many) - base(4 * x_);
  EXPECT_TRUE(at::equal(one.records[0].selected, many.records[0].selected));
  EXPECT_LT(max_difference(scaled, 4 * delta), 1e-13);
}

TEST_F(FlyLora, Invariant5BiasesChooseAndDoNotScale) {
  for (const char* use : {"activation", "selection"}) {
    mixture::Mixture& mixture =
        make(concat("experts: {count: 6}, select: {k: 2}, bias: {use: ", use, "}"));
    nn::RouterLog before, slight, strong;
    const at::Tensor y = forward(x_, &before);
    const at::Tensor bias = mixture.buffers().at(0).tensor;
    bias.fill_(1e-9);
    EXPECT_TRUE(at::equal(forward(x_, &slight), y)) << use;
    bias[3] = 100.0;
    forward(x_, &strong);
    EXPECT_TRUE(strong.records[0].selected.select(1, 3).all().item<bool>()) << use;
    mixture.unplug(model_.groups());
  }
}

TEST_F(FlyLora, NegativeBiasesOfThePaperAttract) {
  // abs(u + d) grows with abs(d), abs(u) + d does not: the caution of the card.
  const auto always_chosen = [&](const char* use) {
    mixture::Mixture& mixture =
        make(concat("experts: {count: 6}, select: {k: 2}, bias: {use: ", use, "}"));
    const at::Tensor bias = mixture.buffers().at(0).tensor;
    bias[3] = -100.0;
    nn::RouterLog log;
    forward(x_, &log);
    mixture.unplug(model_.groups());
    return log.records[0].selected.select(1, 3).all().item<bool>();
  };
  EXPECT_TRUE(always_chosen("activation"));
  EXPECT_FALSE(always_chosen("selection"));
}

TEST_F(FlyLora, Invariant6TheDetachedInputGetsTheGradientOfTheBaseAlone) {
  make("experts: {count: 6, detach_input: true}, select: {k: 2}");
  at::Tensor x = x_.clone().requires_grad_(true);
  const at::Tensor dy = numbers({kTokens, kHeads}, 2, at::kDouble);
  (forward(x) * dy).sum().backward();
  EXPECT_LT(
      max_difference(x.grad(), at::matmul(dy, model_.groups()[0]->linears()[0].weight.expand())),
      1e-14);
  EXPECT_TRUE(bank().b_rows(0).grad().ne(0).any().item<bool>());
}

TEST(SparseA, NeedsAnInputPerRow) {
  const TinyModel model(1);
  const auto spec = read_section("{method: flylora, experts: {a_density: 0.1}}");
  EXPECT_THROW(mixture::Mixture(spec, model.groups(), 1), Error);
}

}  // namespace
}  // namespace lmoe::test
