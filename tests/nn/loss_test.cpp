// The chunked loss against cross-entropy over all logits at once.
#include "nn/loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "base/error.h"
#include "nn/panel_product.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

using test::gradient_error;
using test::relative_error;

at::Tensor slow_loss(const at::Tensor& hidden,
                     const at::Tensor& labels,
                     const at::Tensor& lm_head,
                     std::optional<double> softcap) {
  at::Tensor logits = at::matmul(hidden, lm_head.t());
  if (softcap) logits = *softcap * at::tanh(logits / *softcap);
  return at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum, kIgnoreLabel);
}

at::Tensor some_labels(int64_t rows, int64_t vocab) {
  const at::Tensor labels = at::randint(vocab, {rows}, at::kLong);
  return labels.masked_fill(at::rand({rows}) < 0.6, kIgnoreLabel);
}

/// Heads [vocabulary, H]: one panel, and several.
constexpr std::pair<int64_t, int64_t> kHeads[] = {{97, 16}, {1300, 2100}};

/// Logits of about unit size.
at::Tensor some_hidden(int64_t rows, int64_t width) {
  return at::randn({rows, width}, at::kDouble) * (4 / std::sqrt(static_cast<double>(width)));
}

TEST(Loss, equals_cross_entropy_over_all_logits) {
  at::manual_seed(1);
  ASSERT_LT(panel_rows(kHeads[1].first, kHeads[1].second), kHeads[1].first);
  for (auto [vocab, width] : kHeads)
    for (auto softcap : {std::optional<double>(), std::optional<double>(4.0)})
      for (int64_t chunk : {1, 7, 512}) {
        const at::Tensor labels = some_labels(200, vocab);
        const at::Tensor lm_head = at::randn({vocab, width}, at::kDouble);
        const at::Tensor hidden = some_hidden(200, width).set_requires_grad(true);
        const at::Tensor wide = hidden.detach().clone().set_requires_grad(true);
        const at::Tensor loss = labelled_cross_entropy_sum(hidden, labels, lm_head, softcap, chunk);
        const at::Tensor expected = slow_loss(wide, labels, lm_head, softcap);
        EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-9);
        (loss * 0.3).backward();
        (expected * 0.3).backward();
        EXPECT_LT(relative_error(hidden.grad(), wide.grad()), 1e-12);
        const at::NoGradGuard no_grad;
        EXPECT_EQ(
            loss.item<double>(),
            labelled_cross_entropy_sum(hidden, labels, lm_head, softcap, chunk).item<double>());
      }
}

TEST(Loss, keeps_to_single_and_half_precision) {
  at::manual_seed(2);
  for (auto [vocab, width] : kHeads)
    for (auto [dtype, allowed] : {std::pair{at::kFloat, 1e-5}, std::pair{at::kBFloat16, 2e-2}}) {
      const at::Tensor labels = some_labels(120, vocab);
      const at::Tensor lm_head = at::randn({vocab, width}).to(dtype);
      const at::Tensor hidden = some_hidden(120, width).to(dtype).set_requires_grad(true);
      const at::Tensor wide = hidden.detach().to(at::kDouble).set_requires_grad(true);
      const at::Tensor loss = labelled_cross_entropy_sum(hidden, labels, lm_head);
      const at::Tensor expected = slow_loss(wide, labels, lm_head.to(at::kDouble), {});
      EXPECT_EQ(loss.scalar_type(), at::kFloat);
      EXPECT_LT(relative_error(loss, expected), allowed);
      loss.backward();
      expected.backward();
      EXPECT_LT(relative_error(hidden.grad(), wide.grad()), allowed);
    }
}

TEST(Loss, gradient_equals_central_differences) {
  at::manual_seed(3);
  const at::Tensor labels = some_labels(12, 20), lm_head = at::randn({20, 5}, at::kDouble);
  EXPECT_LT(gradient_error(
                [&](const auto& in) {
                  return labelled_cross_entropy_sum(in[0], labels, lm_head, 3.0, 4);
                },
                {at::randn({12, 5})}),
            1e-8);
}

TEST(Loss, without_labels_is_zero_with_a_zero_gradient) {
  const at::Tensor hidden = at::randn({6, 4}).set_requires_grad(true);
  const at::Tensor loss =
      labelled_cross_entropy_sum(hidden, at::full({6}, kIgnoreLabel, at::kLong), at::randn({9, 4}));
  EXPECT_EQ(loss.item<float>(), 0);
  loss.backward();
  EXPECT_EQ(hidden.grad().abs().sum().item<float>(), 0);
}

TEST(Loss, not_a_number_reaches_the_result) {
  const at::Tensor hidden = at::full({1, 4}, std::nan(""), at::kFloat);
  const at::Tensor loss =
      labelled_cross_entropy_sum(hidden, at::zeros({1}, at::kLong), at::randn({9, 4}));
  EXPECT_TRUE(std::isnan(loss.item<float>()));
}

TEST(Loss, refuses_labels_outside_the_vocabulary) {
  const at::Tensor hidden = at::randn({2, 4}), lm_head = at::randn({9, 4});
  for (int64_t bad : {int64_t{9}, int64_t{-1}})
    EXPECT_THROW(labelled_cross_entropy_sum(hidden, at::full({2}, bad, at::kLong), lm_head), Error);
  EXPECT_THROW(labelled_cross_entropy_sum(hidden, at::zeros({3}, at::kLong), lm_head), Error);
}

}  // namespace
}  // namespace lmoe::nn
