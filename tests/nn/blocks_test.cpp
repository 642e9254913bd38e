// The kernels of RMSNorm, RoPE and gated activations against the forms that ATen composes, in all
// three types, and both against central differences.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nn/gated_activation.h"
#include "nn/rms_norm.h"
#include "nn/rope.h"
#include "nn/with_aten.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

constexpr auto& slow_rms_norm = with_aten::rms_norm;
constexpr auto& slow_rope = with_aten::apply_rope;
constexpr auto& slow_gated = with_aten::gated_activation;

/// What a result stored in `dtype` may differ from the exact one, relative to the largest value.
double tolerance(at::ScalarType dtype) {
  return dtype == at::kDouble ? 1e-13 : dtype == at::kFloat ? 1e-6 : 1e-2;
}

at::ScalarType computed_in(at::ScalarType dtype) {
  return dtype == at::kDouble ? at::kDouble : at::kFloat;
}

class Blocks : public testing::TestWithParam<at::ScalarType> {
 protected:
  at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, at::kDouble).to(GetParam()); }
};

TEST_P(Blocks, rms_norm_follows_its_formula) {
  at::manual_seed(1);
  const at::Tensor x = random({37, 70});
  const at::Tensor weight = at::randn({70}, computed_in(GetParam()));
  const at::Tensor expected = slow_rms_norm(x.to(at::kDouble), weight.to(at::kDouble), 1e-5);
  EXPECT_LT(relative_error(rms_norm(x, weight, 1e-5), expected), tolerance(GetParam()));
}

TEST_P(Blocks, a_sum_and_its_norm_are_those_of_two_steps) {
  at::manual_seed(6);
  const at::Tensor x = random({37, 70}), addend = random({37, 70});
  const at::Tensor weight = at::randn({70}, computed_in(GetParam()));
  const NormedSum both = add_and_norm(x, addend, weight, 1e-5);
  EXPECT_TRUE(at::equal(both.sum, x + addend));
  EXPECT_TRUE(at::equal(both.normed, rms_norm(both.sum, weight, 1e-5)));
}

TEST_P(Blocks, rope_turns_pairs_half_a_head_apart) {
  at::manual_seed(2);
  const at::Tensor x = random({21, 3 * 16});
  const at::Tensor angles = at::randn({21, 8}, computed_in(GetParam())) * 5;
  const RopeTable table{angles.cos(), angles.sin()};
  const RopeTable wide{table.cos.to(at::kDouble), table.sin.to(at::kDouble)};
  EXPECT_LT(relative_error(apply_rope(x, table), slow_rope(x.to(at::kDouble), wide)),
            tolerance(GetParam()));
}

TEST_P(Blocks, gated_activations_follow_their_formulas) {
  at::manual_seed(3);
  const at::Tensor gate = random({19, 33}) * 4, up = random({19, 33});
  for (auto kind : {GatedActivation::kSilu, GatedActivation::kGeluTanh, GatedActivation::kGelu}) {
    const at::Tensor expected = slow_gated(kind, gate.to(at::kDouble), up.to(at::kDouble));
    EXPECT_LT(relative_error(gated_activation(kind, gate, up), expected), tolerance(GetParam()));
  }
}

TEST_P(Blocks, gradients_match_autograd_of_the_formulas) {
  at::manual_seed(4);
  const at::Tensor weight = at::randn({24}, computed_in(GetParam()));
  const at::Tensor angles = at::randn({9, 6}, computed_in(GetParam()));
  const RopeTable table{angles.cos(), angles.sin()};
  const RopeTable wide{table.cos.to(at::kDouble), table.sin.to(at::kDouble)};
  const auto gradient = [](const at::Tensor& input, const auto& function) {
    const at::Tensor leaf = input.detach().clone().set_requires_grad(true);
    const at::Tensor out = function(leaf);
    out.backward(at::linspace(-1, 2, out.numel(), at::kDouble).to(out.scalar_type()).view_as(out));
    return leaf.grad();
  };
  const at::Tensor x = random({9, 24});
  const double allowed = 2 * tolerance(GetParam());
  EXPECT_LT(
      relative_error(gradient(x, [&](const at::Tensor& t) { return rms_norm(t, weight, 1e-6); }),
                     gradient(x.to(at::kDouble),
                              [&](const at::Tensor& t) {
                                return slow_rms_norm(t, weight.to(at::kDouble), 1e-6);
                              })),
      allowed);
  EXPECT_LT(relative_error(gradient(x, [&](const at::Tensor& t) { return apply_rope(t, table); }),
                           gradient(x.to(at::kDouble),
                                    [&](const at::Tensor& t) { return slow_rope(t, wide); })),
            allowed);
}

TEST_P(Blocks, gradient_of_a_norm_is_the_same_whatever_it_keeps) {
  at::manual_seed(7);
  const at::Tensor x = random({9, 24}), addend = random({9, 24}), dsum = random({9, 24});
  at::Tensor weight = at::rand({24}, computed_in(GetParam())) + 0.1;
  for (const double first : {-0.7, 1e-42, 0.0}) {  // float32 cannot divide by the last two
    weight.index_put_({0}, first);
    const auto gradient = [&](const at::Tensor& given, const auto& add_and_normalise) {
      const at::Tensor leaf = given.detach().clone().set_requires_grad(true);
      const NormedSum both = add_and_normalise(leaf);
      const at::Tensor dy = at::linspace(-1, 2, leaf.numel(), at::kDouble).view_as(leaf);
      ((both.normed * dy.to(leaf.scalar_type())).sum() +
       (both.sum * dsum.to(leaf.scalar_type())).sum())
          .backward();
      return leaf.grad();
    };
    const at::Tensor wide = weight.to(at::kDouble);
    EXPECT_LT(
        relative_error(
            gradient(x, [&](const at::Tensor& t) { return add_and_norm(t, addend, weight, 1e-6); }),
            gradient((x + addend).to(at::kDouble),
                     [&](const at::Tensor& t) {
                       return NormedSum{t, slow_rms_norm(t, wide, 1e-6)};
                     })),
        2 * tolerance(GetParam()))
        << first;
  }
}

INSTANTIATE_TEST_SUITE_P(types,
                         Blocks,
                         testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(BlockGradients, equal_central_differences) {
  at::manual_seed(5);
  const at::Tensor weight = at::randn({12}, at::kDouble), angles = at::randn({5, 3}, at::kDouble);
  const RopeTable table{angles.cos() * 1.2, angles.sin() * 1.2};
  const at::Tensor x = at::randn({5, 12}, at::kDouble), y = at::randn({5, 12}, at::kDouble);
  EXPECT_LT(gradient_error([&](const auto& in) { return rms_norm(in[0], weight, 1e-5); }, {x}),
            1e-8);
  EXPECT_LT(gradient_error(
                [&](const auto& in) {
                  const NormedSum both = add_and_norm(in[0], in[1], weight, 1e-5);
                  return at::cat({both.normed, both.sum});
                },
                {x, y}),
            1e-8);
  EXPECT_LT(gradient_error([&](const auto& in) { return apply_rope(in[0], table); }, {x}), 1e-8);
  for (auto kind : {GatedActivation::kSilu, GatedActivation::kGeluTanh, GatedActivation::kGelu})
    EXPECT_LT(gradient_error([&](const auto& in) { return gated_activation(kind, in[0], in[1]); },
                             {x, y}),
              1e-8);
}

TEST(RmsNorm, keeps_its_output_and_not_its_input) {
  const at::Tensor x = at::randn({4, 6}, at::kDouble), weight = at::rand({6}, at::kDouble) + 0.1;
  const auto gradient = [&](bool input_is_overwritten) {
    const at::Tensor leaf = x.clone().set_requires_grad(true);
    const at::Tensor input = leaf * 1;
    const at::Tensor y = rms_norm(input, weight, 1e-5);
    if (input_is_overwritten) input.detach().zero_();
    y.backward(at::linspace(-1, 2, y.numel(), at::kDouble).view_as(y));
    return leaf.grad();
  };
  EXPECT_TRUE(at::equal(gradient(true), gradient(false)));
}

TEST(GatedActivation, stays_finite_and_keeps_nan) {
  const at::Tensor gate = at::tensor({-1e4f, -90.f, -0.f, 90.f, 1e4f, std::nanf("")}),
                   up = at::ones(6);
  for (auto kind : {GatedActivation::kSilu, GatedActivation::kGeluTanh, GatedActivation::kGelu}) {
    const at::Tensor out = gated_activation(kind, gate, up);
    EXPECT_TRUE(at::allclose(out.narrow(0, 0, 5), slow_gated(kind, gate, up).narrow(0, 0, 5)));
    EXPECT_TRUE(out.isnan()[5].item<bool>());
  }
}

}  // namespace
}  // namespace lmoe::nn
