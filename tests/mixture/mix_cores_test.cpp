// Cores applied to all experts in one GEMM, against one merged core per token.
#include "mixture/mix_cores.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kProjections = 2, kExperts = 3, kRank = 4;

struct Inputs {
  at::Tensor down, weights, cores;

  std::vector<at::Tensor> leaves() const { return {down, weights, cores}; }
  /// The same values, in double.
  Inputs exact() const {
    const auto copy = [](const at::Tensor& t) {
      return t.detach().to(at::kDouble).clone().requires_grad_(true);
    };
    return {copy(down), copy(weights), copy(cores)};
  }
};

Inputs some(int64_t tokens, int64_t gates, at::ScalarType dtype) {
  const at::ScalarType wide = dtype == at::kDouble ? at::kDouble : at::kFloat;
  return {numbers({tokens, kProjections * kRank}, 1, dtype).requires_grad_(true),
          numbers({tokens, gates, kExperts}, 2, wide).requires_grad_(true),
          numbers({kProjections * kExperts, kRank, kRank}, 3, dtype).requires_grad_(true)};
}

/// v_p = (sum over e of w_e M_{p,e}) u_p, token by token.
at::Tensor merged(const Inputs& in) {
  std::vector<at::Tensor> tokens;
  for (int64_t t = 0; t < in.down.size(0); ++t) {
    std::vector<at::Tensor> parts;
    for (int64_t p = 0; p < kProjections; ++p) {
      const at::Tensor w = in.weights[t][std::min(p, in.weights.size(1) - 1)];
      const at::Tensor cores = in.cores.narrow(0, p * kExperts, kExperts);
      const at::Tensor core = (w.view({kExperts, 1, 1}) * cores).sum(0);
      parts.push_back(at::mv(core, in.down[t].narrow(0, p * kRank, kRank)));
    }
    tokens.push_back(at::cat(parts));
  }
  return at::stack(tokens);
}

void expect_equal_to_merged(const Inputs& in, double tolerance) {
  const Inputs slow = in.exact();
  const at::Tensor actual = mixture::mix_cores(in.down, in.weights, in.cores);
  const at::Tensor expected = merged(slow);
  EXPECT_EQ(actual.scalar_type(), in.down.scalar_type());
  EXPECT_LT(relative_error(actual, expected), tolerance);
  const at::Tensor direction = numbers(expected.sizes().vec(), 4, in.down.scalar_type());
  (actual * direction).sum().backward();
  (expected * direction.to(at::kDouble)).sum().backward();
  for (size_t i = 0; i < in.leaves().size(); ++i) {
    const at::Tensor ours = in.leaves()[i].grad();
    EXPECT_EQ(ours.scalar_type(), in.leaves()[i].scalar_type());
    EXPECT_LT(relative_error(ours, slow.leaves()[i].grad()), tolerance) << i;
  }
}

double tolerance_of(at::ScalarType dtype) {
  return dtype == at::kDouble ? 1e-13 : dtype == at::kFloat ? 1e-5 : 0.02;
}

TEST(MixCores, equals_a_merged_core_per_token) {
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16})
    for (const int64_t gates : {int64_t{1}, kProjections})
      for (const int64_t tokens : {1, 19})
        expect_equal_to_merged(some(tokens, gates, dtype), tolerance_of(dtype));
}

TEST(MixCores, of_one_expert_alone_asks_nothing_of_the_others) {
  for (const auto dtype : {at::kDouble, at::kFloat, at::kBFloat16}) {
    Inputs in = some(19, 1, dtype);
    in.weights =
        at::zeros({19, 1, kExperts}, in.weights.options())
            .select_scatter(at::ones({19, 1}, in.weights.options()), /*dim=*/2, /*index=*/1);
    in.weights.requires_grad_(true);
    expect_equal_to_merged(in, tolerance_of(dtype));
    const at::Tensor by_expert = in.cores.grad().view({kProjections, kExperts, -1});
    EXPECT_EQ(by_expert.select(1, 0).abs().max().item<double>(), 0);
    EXPECT_GT(by_expert.select(1, 1).abs().max().item<double>(), 0);
  }
}

TEST(MixCores, gradients_equal_central_differences) {
  const Inputs in = some(3, kProjections, at::kDouble);
  EXPECT_LT(
      gradient_error([](const auto& all) { return mixture::mix_cores(all[0], all[1], all[2]); },
                     in.leaves()),
      1e-8);
}

}  // namespace
}  // namespace lmoe::test
