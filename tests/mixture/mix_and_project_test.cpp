// The fused middle stage and its hand-written gradients against plain autograd, in double.
#include "mixture/mix_and_project.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "mixture/middle_stage.h"
#include "mixture/with_aten.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kExperts = 3, kRank = 4, kProjections = 2, kWidth = kExperts * kRank;
const std::vector<int64_t> kOuts = {5, 7};

/// Weights of the others are 0.
enum class Chosen { kAll, kAllButTheLast, kTheSecond };

struct Case {
  spec::Apply apply;
  int64_t gates;  ///< 2: one per projection, 1: shared, 0: a constant weight of 1
  at::ScalarType dtype;
  int64_t tokens = 37;
  Chosen chosen = Chosen::kAll;
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
  v = v.reshape({down.size(0), kProjections, kWidth});
  std::vector<at::Tensor> adapted;
  for (size_t p = 0; p < ups.size(); ++p)
    adapted.push_back(outputs[p] +
                      scaling * at::matmul(v.select(1, static_cast<int64_t>(p)), ups[p].t()));
  return adapted;
}

at::Tensor some_weights(const Case& c) {
  const at::ScalarType exact = c.dtype == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor weights = numbers({c.tokens, c.gates, kExperts}, 2, exact);
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    const bool takes_part = c.chosen == Chosen::kAll ||
                            (c.chosen == Chosen::kTheSecond ? expert == 1 : expert + 1 < kExperts);
    if (!takes_part) weights.select(/*dim=*/2, expert).zero_();
  }
  return weights;
}

struct Inputs {
  explicit Inputs(const Case& c) {
    // Rows further apart than they are long, as when gate logits come from the same GEMM.
    wide = numbers({c.tokens, kProjections * kWidth + 3}, 1, c.dtype).requires_grad_(true);
    if (c.gates > 0) weights = some_weights(c).requires_grad_(true);
    for (size_t p = 0; p < kOuts.size(); ++p) {
      ups.push_back(numbers({kOuts[p], kWidth}, 3 + p, c.dtype).requires_grad_(true));
      bases.push_back(numbers({c.tokens, kOuts[p]}, 6 + p, c.dtype).requires_grad_(true));
    }
  }
  /// The same values, rounded as they are.
  Inputs in_double() const {
    const auto widened = [](const at::Tensor& values) {
      return values.defined() ? values.detach().clone().to(at::kDouble).requires_grad_(true)
                              : at::Tensor();
    };
    Inputs all = *this;
    for (at::Tensor* leaf : {&all.wide, &all.weights}) *leaf = widened(*leaf);
    for (auto* some : {&all.ups, &all.bases})
      for (at::Tensor& leaf : *some) leaf = widened(leaf);
    return all;
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
  const Inputs fast(c), slow = fast.in_double();
  constexpr double kScaling = 1.5;
  const auto actual = mixture::mix_and_project(fast.down(), fast.weights, fast.ups, fast.outputs(),
                                               c.apply, kScaling);
  const auto expected =
      plain(slow.down(), slow.weights, slow.ups, slow.outputs(), c.apply, kScaling);
  const double tolerance = c.dtype == at::kDouble ? 1e-13 : c.dtype == at::kFloat ? 2e-5 : 0.03;
  const auto compare = [&](const at::Tensor& ours, const at::Tensor& theirs, size_t which) {
    const double size = std::max(1.0, theirs.abs().max().item<double>());
    EXPECT_LT(max_difference(ours.to(at::kDouble), theirs), tolerance * size) << which;
  };
  for (size_t p = 0; p < kOuts.size(); ++p) {
    EXPECT_EQ(actual[p].scalar_type(), c.dtype);
    compare(actual[p], expected[p], p);
    const at::Tensor direction = numbers({c.tokens, kOuts[p]}, 9 + p, c.dtype);
    (actual[p] * direction).sum().backward({}, /*retain_graph=*/true);
    (expected[p] * direction.to(at::kDouble)).sum().backward({}, /*retain_graph=*/true);
  }
  const auto ours = fast.leaves(), theirs = slow.leaves();
  for (size_t i = 0; i < ours.size(); ++i) {
    ASSERT_TRUE(ours[i].grad().defined()) << i;
    EXPECT_EQ(ours[i].grad().scalar_type(), ours[i].scalar_type());
    compare(ours[i].grad(), theirs[i].grad(), i);
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
  for (const int64_t tokens : {c.tokens, int64_t{1}, int64_t{0}}) {
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

/// One row, an expert that nobody chose, and one that all rows chose.
std::vector<Case> rare_cases() {
  std::vector<Case> all;
  for (const Case& c : cases({1, 2}))
    for (const auto& [tokens, chosen] : {std::pair{1, Chosen::kAll},
                                         {1, Chosen::kTheSecond},
                                         {37, Chosen::kAllButTheLast},
                                         {37, Chosen::kTheSecond}})
      all.push_back({c.apply, c.gates, c.dtype, tokens, chosen});
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16})
    all.push_back({spec::Apply::kDeltas, 0, dtype, /*tokens=*/1});
  return all;
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return std::string(c.apply == spec::Apply::kDeltas ? "deltas" : "factors") + "_" +
         std::to_string(c.gates) + "_" + c10::toString(c.dtype) +
         (c.tokens == 1 ? "_one_row" : "") +
         (c.chosen == Chosen::kAllButTheLast ? "_an_empty_expert" : "") +
         (c.chosen == Chosen::kTheSecond ? "_all_on_one" : "");
}

INSTANTIATE_TEST_SUITE_P(Cases, MixAndProject, ::testing::ValuesIn(cases({0, 1, 2})), case_name);
INSTANTIATE_TEST_SUITE_P(Rare, MixAndProject, ::testing::ValuesIn(rare_cases()), case_name);
INSTANTIATE_TEST_SUITE_P(Cases, MiddleStage, ::testing::ValuesIn(cases({1, 2})), case_name);

}  // namespace
}  // namespace lmoe::test
