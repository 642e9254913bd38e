// The fused form of whole-FFN experts and its hand-written gradients against a loop over experts
// that ATen differentiates.
#include "mixture/mix_ffn.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <functional>

#include "mixture/dropout.h"
#include "mixture/with_aten.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr double kScaling = 1.5;

/// Which experts a token goes to.
enum class Choice { kSpread, kAllOnOne, kSomeOnNone, kEveryone };

struct Case {
  std::string name;
  int64_t tokens = 37, hidden = 6, inner = 11, experts = 5, rank = 3;
  Choice choice = Choice::kSpread;
  std::vector<int64_t> targets = {0, 1};
  bool has_down = true;
  double rate = 0.0;
  nn::GatedActivation activation = nn::GatedActivation::kSilu;
  at::ScalarType dtype = at::kDouble;
  int threads = 1;
};

at::Tensor choose(const Case& c) {
  at::Tensor w = numbers({c.tokens, c.experts}, 7, at::kDouble).abs() + 0.1;
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t e = 0; e < c.experts; ++e) {
      // Expert 2 is nobody's but with everyone's; one in three has nobody but with everyone's.
      const bool spread = (e == t % c.experts || e == (3 * t + 1) % c.experts) && e != 2;
      const bool in_turn = spread && (c.choice != Choice::kSomeOnNone || t % 3 != 0);
      const bool keep =
          c.choice == Choice::kEveryone || (c.choice == Choice::kAllOnOne ? e == 1 : in_turn);
      if (!keep) w[t][e] = 0.0;
    }
  }
  return w;
}

/// All tensors require gradients.
struct Inputs {
  explicit Inputs(const Case& c) {
    const auto leaf = [&](std::vector<int64_t> shape, uint64_t seed, at::ScalarType dtype) {
      return numbers(std::move(shape), seed, dtype).requires_grad_(true);
    };
    const at::ScalarType wide = c.dtype == at::kDouble ? at::kDouble : at::kFloat;
    x = leaf({c.tokens, c.hidden}, 1, c.dtype);
    gate = leaf({c.tokens, c.inner}, 2, c.dtype);
    up = leaf({c.tokens, c.inner}, 3, c.dtype);
    weights = choose(c).to(wide).requires_grad_(true);
    const auto projections = static_cast<int64_t>(c.targets.size());
    factors.scaling = kScaling;
    factors.gate_up_targets = c.targets;
    if (projections > 0)
      factors.gate_up_a = leaf({projections * c.experts * c.rank, c.hidden}, 4, wide);
    for (int64_t p = 0; p < projections; ++p)
      factors.gate_up_b.push_back(
          leaf({c.inner, c.experts * c.rank}, static_cast<uint64_t>(5 + p), wide));
    if (!c.has_down) return;
    factors.down_a = leaf({c.experts * c.rank, c.inner}, 8, wide);
    factors.down_b = leaf({c.hidden, c.experts * c.rank}, 9, wide);
  }

  std::vector<at::Tensor> leaves() const {
    std::vector<at::Tensor> all = {
        x, gate, up, weights, factors.gate_up_a, factors.down_a, factors.down_b};
    all.insert(all.end(), factors.gate_up_b.begin(), factors.gate_up_b.end());
    std::erase_if(all, [](const at::Tensor& tensor) { return !tensor.defined(); });
    return all;
  }

  at::Tensor x, gate, up, weights;
  mixture::FfnFactors factors;
};

/// The mask of one expert, [rows, I], by applying it to ones.
at::Tensor mask_of(const mixture::DropoutMask& mask,
                   const at::Tensor& rows,
                   int64_t expert,
                   int64_t experts,
                   int64_t inner) {
  at::Tensor ones = at::ones({rows.size(0), inner}, at::kDouble);
  for (int64_t i = 0; mask.rate > 0 && i < rows.size(0); ++i) {
    double* row = ones.data_ptr<double>() + i * inner;
    mixture::drop_row(mask, rows[i].item<int64_t>() * experts + expert, row, inner, row);
  }
  return ones;
}

mixture::MixedFfn loop(const Case& c, const Inputs& in, const mixture::DropoutMask& mask) {
  const at::ScalarType wide = in.weights.scalar_type();
  const mixture::FfnFactors& f = in.factors;
  at::Tensor mixed = at::zeros({c.tokens, c.inner}, wide);
  at::Tensor low = at::zeros({c.tokens, c.hidden}, wide);
  for (int64_t e = 0; e < c.experts; ++e) {
    const at::Tensor rows = in.weights.detach().select(1, e).nonzero().squeeze(1);
    const at::Tensor w = in.weights.select(1, e).index_select(0, rows).unsqueeze(1);
    const at::Tensor x = in.x.to(wide).index_select(0, rows);
    std::vector<at::Tensor> z = {in.gate.to(wide).index_select(0, rows),
                                 in.up.to(wide).index_select(0, rows)};
    for (size_t p = 0; p < c.targets.size(); ++p) {
      const at::Tensor a =
          f.gate_up_a.narrow(0, (static_cast<int64_t>(p) * c.experts + e) * c.rank, c.rank);
      const at::Tensor b = f.gate_up_b[p].narrow(1, e * c.rank, c.rank);
      at::Tensor& own = z[static_cast<size_t>(c.targets[p])];
      own = own + kScaling * at::linear(at::linear(x, a), b);
    }
    const at::Tensor act = nn::gated_activation(c.activation, z[0], z[1]);
    mixed = mixed.index_add(0, rows, w * act);
    if (!c.has_down) continue;
    const at::Tensor read = act * mask_of(mask, rows, e, c.experts, c.inner).to(wide);
    const at::Tensor a = f.down_a.narrow(0, e * c.rank, c.rank);
    const at::Tensor b = f.down_b.narrow(1, e * c.rank, c.rank);
    low = low.index_add(0, rows, kScaling * w * at::linear(at::linear(read, a), b));
  }
  return {mixed.to(c.dtype), c.has_down ? low.to(c.dtype) : at::Tensor()};
}

void run_backward(const Case& c, const mixture::MixedFfn& y) {
  const auto wide = y.mixed.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor sum = (y.mixed.to(wide) * numbers({c.tokens, c.inner}, 11, c.dtype).to(wide)).sum();
  if (y.low.defined())
    sum = sum + (y.low.to(wide) * numbers({c.tokens, c.hidden}, 12, c.dtype).to(wide)).sum();
  sum.backward();
}

class MixFfn : public ::testing::TestWithParam<Case> {};

void expect_the_loop(const Case& c, decltype(mixture::mix_ffn)& form) {
  const int threads = at::get_num_threads();
  at::set_num_threads(c.threads);
  const mixture::DropoutMask mask{0x123456789abcdefULL, c.rate};
  const Inputs fast(c), slow(c);
  const mixture::MixedFfn actual =
      form(fast.x, fast.gate, fast.up, fast.weights, fast.factors, c.activation, mask);
  const mixture::MixedFfn expected = loop(c, slow, mask);
  const double tolerance = c.dtype == at::kDouble ? 1e-13 : c.dtype == at::kFloat ? 1e-5 : 0.03;
  const auto compare = [&](const at::Tensor& a, const at::Tensor& b, const std::string& what) {
    ASSERT_TRUE(a.defined()) << what;
    EXPECT_EQ(a.scalar_type(), b.scalar_type()) << what;
    const at::Tensor exact = b.to(at::kDouble);
    EXPECT_LT(max_difference(a.to(at::kDouble), exact),
              tolerance * std::max(1.0, exact.abs().max().item<double>()))
        << what;
  };
  compare(actual.mixed, expected.mixed, "mixed");
  EXPECT_EQ(actual.low.defined(), c.has_down);
  if (c.has_down) compare(actual.low, expected.low, "low");
  run_backward(c, actual);
  run_backward(c, expected);
  const auto ours = fast.leaves(), theirs = slow.leaves();
  for (size_t i = 0; i < ours.size(); ++i) {
    // Without adapters on gate and up nothing reads x.
    if (!theirs[i].grad().defined() || theirs[i].grad().eq(0).all().item<bool>()) continue;
    compare(ours[i].grad(), theirs[i].grad(), "gradient " + std::to_string(i));
  }
  EXPECT_EQ(fast.x.grad().defined(), !c.targets.empty());
  at::set_num_threads(threads);
}

TEST_P(MixFfn, EqualsTheLoop) { expect_the_loop(GetParam(), mixture::mix_ffn); }

TEST_P(MixFfn, AsAtenComposesItEqualsTheLoop) {
  expect_the_loop(GetParam(), mixture::with_aten::mix_ffn);
}

std::vector<Case> cases() {
  std::vector<Case> all = {{"Spread"}};
  const auto add = [&](const std::string& name, const std::function<void(Case&)>& change) {
    Case c{name};
    change(c);
    all.push_back(c);
  };
  add("OneToken", [](Case& c) { c.tokens = 1; });
  add("AllOnOne", [](Case& c) { c.choice = Choice::kAllOnOne; });
  add("TokensWithoutExperts", [](Case& c) { c.choice = Choice::kSomeOnNone; });
  add("Everyone", [](Case& c) { c.choice = Choice::kEveryone; });
  add("OneExpert", [](Case& c) { c.experts = 1, c.choice = Choice::kEveryone; });
  add("UpAlone", [](Case& c) { c.targets = {1}; });
  add("GateAlone", [](Case& c) { c.targets = {0}; });
  add("DownAlone", [](Case& c) { c.targets = {}; });
  add("WithoutDown", [](Case& c) { c.has_down = false; });
  add("Dropout", [](Case& c) { c.rate = 0.4; });
  add("HiddenWiderThanInner", [](Case& c) { c.hidden = 13, c.inner = 4; });
  add("GeluTanh", [](Case& c) { c.activation = nn::GatedActivation::kGeluTanh; });
  add("ChunksAndLanes", [](Case& c) { c.tokens = 517, c.threads = 3, c.rate = 0.1; });
  add("LanesWithoutSomeExperts",
      [](Case& c) { c.tokens = 300, c.threads = 2, c.choice = Choice::kAllOnOne; });
  for (const auto& [name, dtype] : {std::pair{"Float", at::kFloat}, {"BFloat16", at::kBFloat16}}) {
    const at::ScalarType type = dtype;
    add(name, [type](Case& c) { c.dtype = type, c.tokens = 290, c.threads = 2; });
    add(std::string(name) + "Dropout", [type](Case& c) { c.dtype = type, c.rate = 0.3; });
  }
  return all;
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Cases, MixFfn, ::testing::ValuesIn(cases()), case_name);

TEST(MixFfn, ExpertsOfWeightZeroGetNoGradient) {
  const Case c{"Spread"};
  const Inputs in(c);
  run_backward(c, mixture::mix_ffn(in.x, in.gate, in.up, in.weights, in.factors, c.activation, {}));
  const at::Tensor unused = in.weights.detach().eq(0);
  EXPECT_TRUE(in.weights.grad().masked_select(unused).eq(0).all().item<bool>());
  EXPECT_TRUE(in.factors.down_a.grad().narrow(0, 2 * c.rank, c.rank).eq(0).all().item<bool>());
}

TEST(MixFfn, FinishedFactorsChangeNoOtherGradient) {
  const Case c{"Spread"};
  const Inputs all(c);
  run_backward(
      c, mixture::mix_ffn(all.x, all.gate, all.up, all.weights, all.factors, c.activation, {}));
  const auto expected = all.leaves();
  constexpr size_t kFirstFactor = 4;
  for (size_t finished = kFirstFactor; finished < expected.size(); ++finished) {
    const Inputs some(c);
    const auto leaves = some.leaves();
    leaves[finished].requires_grad_(false);
    run_backward(c, mixture::mix_ffn(some.x, some.gate, some.up, some.weights, some.factors,
                                     c.activation, {}));
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
