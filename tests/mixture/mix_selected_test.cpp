// The form that computes chosen experts alone against the dense one in double, whose gradients its
// own test compares with autograd's.
#include "mixture/mix_selected.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "mixture/mix_and_project.h"
#include "mixture/with_aten.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kIn = 7, kRank = 3, kExperts = 6;
const std::vector<int64_t> kOuts = {5, 9};

struct Case {
  std::string name;
  int64_t tokens = 37;
  int64_t gates = 2;  ///< 1: shared by the projections
  bool all_on_one = false;
  at::ScalarType dtype = at::kDouble;
  int threads = 1;
};

struct Inputs {
  explicit Inputs(const Case& c) {
    const at::ScalarType wide = c.dtype == at::kDouble ? at::kDouble : at::kFloat;
    x = numbers({c.tokens, kIn}, 1, c.dtype).requires_grad_(true);
    at::Tensor w = numbers({c.tokens, c.gates, kExperts}, 2, wide);
    for (int64_t t = 0; t < c.tokens; ++t)
      for (int64_t g = 0; g < c.gates; ++g)
        for (int64_t e = 0; e < kExperts; ++e)  // of gate 0 expert 5 is nobody's
          if (c.all_on_one ? e != 1 : e != (t + g) % 5 && e != (3 * t + 2 * g) % 5)
            w[t][g][e] = 0.0;
    weights = w.requires_grad_(true);
    const auto projections = static_cast<int64_t>(kOuts.size());
    a = numbers({projections * kExperts * kRank, kIn}, 3, wide).requires_grad_(true);
    for (size_t p = 0; p < kOuts.size(); ++p) {
      ups.push_back(numbers({kOuts[p], kExperts * kRank}, 4 + p, wide).requires_grad_(true));
      bases.push_back(numbers({c.tokens, kOuts[p]}, 7 + p, c.dtype).requires_grad_(true));
    }
  }
  /// The same values, rounded as they are.
  Inputs in_double() const {
    const auto widened = [](const at::Tensor& values) {
      return values.detach().clone().to(at::kDouble).requires_grad_(true);
    };
    Inputs all = *this;
    for (at::Tensor* leaf : {&all.x, &all.weights, &all.a}) *leaf = widened(*leaf);
    for (auto* some : {&all.ups, &all.bases})
      for (at::Tensor& leaf : *some) leaf = widened(leaf);
    return all;
  }
  std::vector<at::Tensor> outputs(at::ScalarType dtype) const {
    std::vector<at::Tensor> all;
    for (const at::Tensor& base : bases) all.push_back(base.to(dtype) * 2);
    return all;
  }
  std::vector<at::Tensor> leaves() const {
    std::vector<at::Tensor> all = {x, weights, a};
    all.insert(all.end(), ups.begin(), ups.end());
    all.insert(all.end(), bases.begin(), bases.end());
    return all;
  }

  at::Tensor x, weights, a;
  std::vector<at::Tensor> ups, bases;
};

class MixSelected : public ::testing::TestWithParam<Case> {};

void expect_the_dense_form(const Case& c, decltype(mixture::mix_selected)& form) {
  const int threads = at::get_num_threads();
  at::set_num_threads(c.threads);
  const Inputs few(c), dense = few.in_double();
  constexpr double kScaling = 1.5;
  const auto actual = form(few.x, few.weights, few.a, few.ups, few.outputs(c.dtype), kScaling);
  const auto expected =
      mixture::mix_and_project(at::linear(dense.x, dense.a), dense.weights, dense.ups,
                               dense.outputs(at::kDouble), spec::Apply::kDeltas, kScaling);
  const double tolerance = c.dtype == at::kDouble ? 1e-13 : c.dtype == at::kFloat ? 1e-5 : 0.03;
  const auto compare = [&](const at::Tensor& ours, const at::Tensor& exact) {
    EXPECT_LT(max_difference(ours.to(at::kDouble), exact),
              tolerance * std::max(1.0, exact.abs().max().item<double>()));
  };
  for (size_t p = 0; p < kOuts.size(); ++p) {
    EXPECT_EQ(actual[p].scalar_type(), c.dtype);
    compare(actual[p], expected[p]);
    const at::Tensor direction = numbers({c.tokens, kOuts[p]}, 9 + p, c.dtype).to(at::kDouble);
    (actual[p].to(at::kDouble) * direction).sum().backward({}, /*retain_graph=*/true);
    (expected[p] * direction).sum().backward({}, /*retain_graph=*/true);
  }
  const auto ours = few.leaves(), theirs = dense.leaves();
  for (size_t i = 0; i < ours.size(); ++i) {
    const at::Tensor mine = ours[i].grad();
    ASSERT_TRUE(mine.defined()) << i;
    EXPECT_EQ(mine.scalar_type(), ours[i].scalar_type());
    // Experts of weight 0 are not computed; selection would have made their gradient zero.
    compare(mine, i == 1 ? theirs[i].grad() * few.weights.detach().ne(0) : theirs[i].grad());
  }
  at::set_num_threads(threads);
}

TEST_P(MixSelected, EqualsTheDenseForm) {
  expect_the_dense_form(GetParam(), mixture::mix_selected);
}

TEST_P(MixSelected, AsAtenComposesItEqualsTheDenseForm) {
  expect_the_dense_form(GetParam(), mixture::with_aten::mix_selected);
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Cases,
                         MixSelected,
                         ::testing::Values(Case{"TwoGates"},
                                           Case{"SharedGate", 37, 1},
                                           Case{"OneToken", 1},
                                           Case{"AllOnOne", 37, 2, true},
                                           Case{"OneTokenOnOne", 1, 2, true},
                                           Case{"ThreeLanes", 517, 2, false, at::kDouble, 3},
                                           Case{"Float", 300, 2, false, at::kFloat, 2},
                                           Case{"FloatOneToken", 1, 2, false, at::kFloat},
                                           Case{"FloatAllOnOne", 37, 2, true, at::kFloat},
                                           Case{"BFloat16", 37, 1, false, at::kBFloat16},
                                           Case{"BFloat16OneToken", 1, 2, false, at::kBFloat16},
                                           Case{"BFloat16AllOnOne", 37, 2, true, at::kBFloat16}),
                         case_name);

TEST(MixSelected, FinishedFactorsChangeNoOtherGradient) {
  const Case c{"Float", 300, 2, false, at::kFloat, 2};
  const auto run = [&](const Inputs& in) {
    const auto y = mixture::mix_selected(in.x, in.weights, in.a, in.ups, in.outputs(c.dtype), 1.0);
    (y[0].sum() + y[1].square().sum()).backward();
    return in.leaves();
  };
  const auto expected = run(Inputs(c));
  for (const size_t finished : {2, 3}) {  // A, B of the first projection
    const Inputs some(c);
    some.leaves()[finished].requires_grad_(false);
    const auto leaves = run(some);
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (i == finished)
        EXPECT_FALSE(leaves[i].grad().defined()) << i;
      else
        EXPECT_TRUE(at::equal(leaves[i].grad(), expected[i].grad())) << i << " beside " << finished;
    }
  }
}

}  // namespace
}  // namespace lmoe::test
