// The fused middle stage and its hand-written gradients against plain autograd.
#include "mixture/mix_and_project.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "mixture/middle_stage.h"
#include "mixture/with_aten.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 37, kExperts = 3, kRank = 4, kProjections = 2,
                  kWidth = kExperts * kRank;
const std::vector<int64_t> kOuts = {5, 7};

struct Case {
  spec::Apply apply;
  int64_t gates;  ///< 2: one per projection, 1: shared, 0: a constant weight of 1
  at::ScalarType dtype;
};

/// The same thing as ATen composes it and autograd differentiates it.
std::vector<at::Tensor> plain(const at::Tensor& down,
                              const at::Tensor& weights,
                              const std::vector<at::Tensor>& ups,
                              const std::vector<at::Tensor>& outputs,
                              spec::Apply apply,
                              double scaling) {
  at::Tensor v = weights.defined()
                     ? mixture::with_aten::middle_stage(down, weights, kProjections, apply)
                     : down;
  v = v.reshape({kTokens, kProjections, kWidth});
  std::vector<at::Tensor> adapted;
  for (size_t p = 0; p < ups.size(); ++p)
    adapted.push_back(outputs[p] +
                      scaling * at::matmul(v.select(1, static_cast<int64_t>(p)), ups[p].t()));
  return adapted;
}

struct Inputs {
  explicit Inputs(const Case& c) {
    // Rows further apart than they are long, as when gate logits come from the same GEMM.
    wide = numbers({kTokens, kProjections * kWidth + 3}, 1, c.dtype).requires_grad_(true);
    const at::ScalarType exact = c.dtype == at::kDouble ? at::kDouble : at::kFloat;
    if (c.gates > 0) weights = numbers({kTokens, c.gates, kExperts}, 2, exact).requires_grad_(true);
    for (size_t p = 0; p < kOuts.size(); ++p) {
      ups.push_back(numbers({kOuts[p], kWidth}, 3 + p, c.dtype).requires_grad_(true));
      bases.push_back(numbers({kTokens, kOuts[p]}, 6 + p, c.dtype).requires_grad_(true));
    }
  }
  at::Tensor down() const { return wide.narrow(1, 2, kProjections * kWidth); }
  std::vector<at::Tensor> outputs() const {
    std::vector<at::Tensor> all;
    for (const at::Tensor& base : bases) all.push_back(base * 2);
    return all;
  }
  std::vector<at::Tensor> leaves() const {
    std::vector<at::Tensor> all = {wide};
    if (weights.defined()) all.push_back(weights);
    all.insert(all.end(), ups.begin(), ups.end());
    all.insert(all.end(), bases.begin(), bases.end());
    return all;
  }

  at::Tensor wide, weights;
  std::vector<at::Tensor> ups, bases;
};

class MixAndProject : public ::testing::TestWithParam<Case> {};

TEST_P(MixAndProject, EqualsPlainAutograd) {
  const Case& c = GetParam();
  const Inputs fast(c), slow(c);
  constexpr double kScaling = 1.5;
  const auto actual = mixture::mix_and_project(fast.down(), fast.weights, fast.ups, fast.outputs(),
                                               c.apply, kScaling);
  const auto expected =
      plain(slow.down(), slow.weights, slow.ups, slow.outputs(), c.apply, kScaling);
  const double tolerance = c.dtype == at::kDouble ? 1e-13 : c.dtype == at::kFloat ? 2e-5 : 0.1;
  for (size_t p = 0; p < kOuts.size(); ++p) {
    EXPECT_LT(max_difference(actual[p], expected[p]), tolerance);
    const at::Tensor direction = numbers({kTokens, kOuts[p]}, 9 + p, c.dtype);
    (actual[p] * direction).sum().backward({}, /*retain_graph=*/true);
    (expected[p] * direction).sum().backward({}, /*retain_graph=*/true);
  }
  const auto ours = fast.leaves(), theirs = slow.leaves();
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_TRUE(ours[i].grad().defined()) << i;
    EXPECT_EQ(ours[i].grad().scalar_type(), theirs[i].scalar_type());
    const double scale = std::max(1.0, theirs[i].grad().abs().max().item<double>());
    EXPECT_LT(max_difference(ours[i].grad(), theirs[i].grad()) / scale, tolerance) << i;
  }
}

TEST_P(MixAndProject, WritesIntoTheOutputs) {
  const Case& c = GetParam();
  const Inputs inputs(c);
  const auto outputs = inputs.outputs();
  const void* before = outputs[1].data_ptr();
  const auto adapted =
      mixture::mix_and_project(inputs.down(), inputs.weights, inputs.ups, outputs, c.apply, 1.0);
  EXPECT_EQ(adapted[1].data_ptr(), before);
}

TEST_P(MixAndProject, FinishedFactorsChangeNoOtherGradient) {
  const Case& c = GetParam();
  const Inputs learning(c), finished(c);
  finished.ups[1].requires_grad_(false);
  for (const Inputs* inputs : {&learning, &finished}) {
    const auto adapted = mixture::mix_and_project(inputs->down(), inputs->weights, inputs->ups,
                                                  inputs->outputs(), c.apply, 1.0);
    (adapted[0].sum() + adapted[1].square().sum()).backward();
  }
  const auto ours = finished.leaves(), theirs = learning.leaves();
  for (size_t i = 0; i < ours.size(); ++i) {
    if (ours[i].requires_grad())
      EXPECT_TRUE(at::equal(ours[i].grad(), theirs[i].grad())) << i;
    else
      EXPECT_FALSE(ours[i].grad().defined()) << i;
  }
}

/// Without weights there is none.
class MiddleStage : public ::testing::TestWithParam<Case> {};

TEST_P(MiddleStage, AtenGivesThatOfTheKernelAndItsGradients) {
  const Case& c = GetParam();
  const double tolerance = c.dtype == at::kDouble ? 1e-13 : c.dtype == at::kFloat ? 1e-5 : 0.02;
  const Inputs inputs(c);
  for (const int64_t tokens : {kTokens, int64_t{1}, int64_t{0}}) {
    const at::Tensor u = inputs.down().detach().narrow(0, 0, tokens);
    const at::Tensor w = inputs.weights.detach().narrow(0, 0, tokens);
    const at::Tensor dv = numbers({tokens, kProjections * kWidth}, 20, c.dtype);
    const auto compare = [&](const at::Tensor& ours, const at::Tensor& theirs) {
      ASSERT_EQ(ours.sizes(), theirs.sizes());
      EXPECT_EQ(ours.scalar_type(), theirs.scalar_type());
      if (tokens > 0) {
        EXPECT_LT(relative_error(ours, theirs), tolerance);
      }
    };
    compare(mixture::with_aten::middle_stage(u, w, kProjections, c.apply),
            mixture::middle_stage(u, w, kProjections, c.apply));
    const auto ours = mixture::with_aten::middle_stage_backward(u, w, dv, kProjections, c.apply);
    const auto theirs = mixture::middle_stage_backward(u, w, dv, kProjections, c.apply);
    compare(ours.down, theirs.down);
    compare(ours.weights, theirs.weights);
  }
}

TEST(MiddleStageOfAten, GradientsEqualCentralDifferences) {
  for (const auto apply : {spec::Apply::kDeltas, spec::Apply::kFactors})
    for (const int64_t gates : {1, 2})
      EXPECT_LT(gradient_error(
                    [&](const auto& in) {
                      return mixture::with_aten::middle_stage(in[0], in[1], kProjections, apply);
                    },
                    {numbers({3, kProjections * kWidth}, 1, at::kDouble),
                     numbers({3, gates, kExperts}, 2, at::kDouble)}),
                1e-8);
}

std::vector<Case> cases(const std::vector<int64_t>& gate_counts) {
  std::vector<Case> all;
  for (const auto apply : {spec::Apply::kDeltas, spec::Apply::kFactors})
    for (const int64_t gates : gate_counts)
      for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16})
        if (gates > 0 || apply == spec::Apply::kDeltas) all.push_back({apply, gates, dtype});
  return all;
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return std::string(info.param.apply == spec::Apply::kDeltas ? "deltas" : "factors") + "_" +
         std::to_string(info.param.gates) + "_" + c10::toString(info.param.dtype);
}

INSTANTIATE_TEST_SUITE_P(Cases, MixAndProject, ::testing::ValuesIn(cases({0, 1, 2})), case_name);
INSTANTIATE_TEST_SUITE_P(Cases, MiddleStage, ::testing::ValuesIn(cases({1, 2})), case_name);

}  // namespace
}  // namespace lmoe::test
