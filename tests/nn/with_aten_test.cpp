// The forms that ATen composes, by themselves: in every type against the same in float64, their
// gradients against central differences; the loss against its kernel. Tests of the kernels hold
// those of the other operations against these.
#include "nn/with_aten.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nn/loss.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

constexpr GatedActivation kActivations[] = {GatedActivation::kSilu, GatedActivation::kGeluTanh,
                                            GatedActivation::kGelu};

at::Tensor random(at::IntArrayRef shape) { return at::randn(shape, at::kDouble); }

class WithAten : public testing::TestWithParam<at::ScalarType> {
 protected:
  /// What a tensor of the type may differ from the exact one, relative to the largest value.
  double allowed() const {
    return GetParam() == at::kDouble ? 1e-13 : GetParam() == at::kFloat ? 1e-6 : 1e-2;
  }
  at::ScalarType computed_in() const {
    return GetParam() == at::kDouble ? at::kDouble : at::kFloat;
  }
  at::Tensor typed(const at::Tensor& exact) const { return exact.to(GetParam()); }
  void expect_near(const at::Tensor& actual, const at::Tensor& exact) const {
    EXPECT_EQ(actual.scalar_type(), GetParam());
    EXPECT_LT(relative_error(actual, exact), allowed());
  }
};

TEST_P(WithAten, computes_in_float32_or_float64_and_rounds_once) {
  at::manual_seed(1);
  const at::Tensor x = typed(random({19, 24})), up = typed(random({19, 24}));
  const at::Tensor wide = x.to(at::kDouble), wide_up = up.to(at::kDouble);
  const at::Tensor weight = random({24}).to(computed_in()), angles = random({19, 4});
  const RopeTable table{angles.cos().to(computed_in()), angles.sin().to(computed_in())};
  const RopeTable exact{table.cos.to(at::kDouble), table.sin.to(at::kDouble)};
  expect_near(with_aten::rms_norm(x, weight, 1e-5),
              with_aten::rms_norm(wide, weight.to(at::kDouble), 1e-5));
  expect_near(with_aten::apply_rope(x, table), with_aten::apply_rope(wide, exact));
  for (const auto kind : kActivations)
    expect_near(with_aten::gated_activation(kind, x, up),
                with_aten::gated_activation(kind, wide, wide_up));
}

TEST_P(WithAten, gives_the_loss_of_the_kernel_and_its_gradient) {
  at::manual_seed(2);
  const at::Tensor lm_head = typed(random({97, 16})), rows = typed(random({50, 16}));
  at::Tensor labels = at::randint(97, {50}, at::kLong);
  labels = labels.masked_fill(at::rand({50}) < 0.6, kIgnoreLabel);
  const double tolerance = GetParam() == at::kBFloat16 ? 2e-2
                           : GetParam() == at::kFloat  ? 1e-5
                                                       : 1e-12;
  for (const at::Tensor& given : {labels, at::full({50}, kIgnoreLabel, at::kLong)})
    for (const double softcap : {0.0, 4.0})
      for (const int64_t chunk : {1, 7, 512}) {
        const at::Tensor ours = rows.clone().set_requires_grad(true);
        const at::Tensor theirs = rows.clone().set_requires_grad(true);
        const at::Tensor loss =
            with_aten::labelled_cross_entropy_sum(ours, given, lm_head, softcap, chunk);
        const at::Tensor expected =
            labelled_cross_entropy_sum(theirs, given, lm_head, softcap, chunk);
        EXPECT_EQ(loss.scalar_type(), expected.scalar_type());
        EXPECT_LT(relative_error(loss, expected), tolerance);
        (loss * 0.3).backward();
        (expected * 0.3).backward();
        EXPECT_LT(relative_error(ours.grad(), theirs.grad()), tolerance);
      }
}

TEST_P(WithAten, loss_without_gradients_is_the_same) {
  at::manual_seed(3);
  const at::Tensor lm_head = typed(random({23, 8})), rows = typed(random({9, 8}));
  const at::Tensor labels = at::randint(23, {9}, at::kLong);
  const at::Tensor learning = rows.clone().set_requires_grad(true);
  const at::Tensor alone = with_aten::labelled_cross_entropy_sum(rows, labels, lm_head, 3.0, 4);
  EXPECT_FALSE(alone.requires_grad());
  EXPECT_TRUE(
      at::equal(alone, with_aten::labelled_cross_entropy_sum(learning, labels, lm_head, 3.0, 4)));
}

INSTANTIATE_TEST_SUITE_P(types,
                         WithAten,
                         testing::Values(at::kFloat, at::kBFloat16, at::kDouble),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

TEST(WithAten, gradients_equal_central_differences) {
  at::manual_seed(4);
  const at::Tensor weight = random({12}), angles = random({5, 3}), lm_head = random({20, 12});
  const RopeTable table{angles.cos() * 1.2, angles.sin() * 1.2};
  const at::Tensor x = random({5, 12}), y = random({5, 12});
  const at::Tensor labels = at::tensor({3, 19, -100, 0, 7}, at::kLong);
  const auto error = [](const auto& function, const std::vector<at::Tensor>& inputs) {
    return gradient_error(function, inputs);
  };
  using Inputs = const std::vector<at::Tensor>&;
  EXPECT_LT(error([&](Inputs in) { return with_aten::rms_norm(in[0], weight, 1e-5); }, {x}), 1e-8);
  EXPECT_LT(error([&](Inputs in) { return with_aten::apply_rope(in[0], table); }, {x}), 1e-8);
  for (const auto kind : kActivations)
    EXPECT_LT(
        error([&](Inputs in) { return with_aten::gated_activation(kind, in[0], in[1]); }, {x, y}),
        1e-8);
  EXPECT_LT(error(
                [&](Inputs in) {
                  return with_aten::labelled_cross_entropy_sum(in[0], labels, lm_head, 3.0, 2);
                },
                {x}),
            1e-8);
}

}  // namespace
}  // namespace lmoe::nn
