// The acceptance invariants of EPT: experts are Kronecker products of one small matrix.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "support/gradient_check.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 5;

/// One projection [out, in] with its mixture, parameters random.
struct Site {
  Site(int64_t in, int64_t out, const std::string& section)
      : spec(read_section(section)),
        group(0,
              "mlp",
              {{"up_proj", "model.layers.0.mlp.up_proj", numbers({out, in}, 1, at::kDouble), {}}}),
        mixture(spec, std::vector{&group}, 3, at::kDouble) {
    mixture.plug(std::vector{&group});
  }
  const mixture::ExpertBank& bank() const { return mixture.banks()[0]->bank(); }
  at::Tensor a() const { return bank().other_tensors()[0].tensor.detach(); }
  at::Tensor b() const { return bank().other_tensors()[1].tensor.detach(); }
  at::Tensor kernels() const { return bank().other_tensors()[2].tensor.detach(); }

  /// What the mixture adds to the frozen output of x.
  at::Tensor delta(const at::Tensor& x) const {
    nn::ForwardContext context;
    return group.forward({x, x}, context)[0] - at::linear(x, group.linears()[0].weight.expand());
  }
  /// The matrix of the only expert.
  at::Tensor matrix() const { return delta(at::eye(bank().in(), at::kDouble)).t(); }

  spec::MixtureSpec spec;
  nn::ProjectionGroup group;
  mixture::Mixture mixture;
};

std::string one_expert(int size, int rank) {
  return "{method: ept, experts: {count: 1, rank: " + std::to_string(rank) + ", kernel_sizes: [" +
         std::to_string(size) + "]}, select: {k: 1}, target_modules: [up_proj]}";
}

TEST(Ept, ZeroKernelsAreTheIdentityAlthoughTheSharedProductIsNotZero) {
  const Site site(6, 8, one_expert(2, 2));
  EXPECT_GT(at::matmul(site.b(), site.a()).abs().min().item<double>(), 0.0);
  EXPECT_EQ(site.delta(numbers({kTokens, 6}, 2, at::kDouble)).abs().max().item<double>(), 0.0);
}

TEST(Ept, AnExpertIsATransposedConvolutionWithStrideEqualToItsKernel) {
  Site site(6, 8, one_expert(2, 2));
  randomize(site.mixture, 5);
  const at::Tensor small = at::matmul(site.b(), site.a());
  const at::Tensor kernel = site.kernels().view({2, 2});
  const at::Tensor by_convolution =
      at::conv_transpose2d(small.view({1, 1, 4, 3}), kernel.view({1, 1, 2, 2}), /*bias=*/{},
                           /*stride=*/2)
          .view({8, 6});
  EXPECT_LT(max_difference(site.matrix(), by_convolution), 1e-13);
  EXPECT_LT(max_difference(site.matrix(), at::kron(small, kernel)), 1e-13);
}

TEST(Ept, AKernelOfOneNumberIsALoraTimesIt) {
  Site site(5, 4, one_expert(1, 2));
  randomize(site.mixture, 5);
  EXPECT_LT(max_difference(site.matrix(), site.kernels()[0] * at::matmul(site.b(), site.a())),
            1e-13);
}

TEST(Ept, SlicingTheFactorsEqualsSlicingTheirProduct) {
  Site site(7, 9,
            "{method: ept, experts: {count: 2, rank: 2, kernel_sizes: [1, 3]}, select: {k: 1},"
            " gate: {init_range: 0}, target_modules: [up_proj]}");
  randomize(site.mixture, 5);
  {
    const at::NoGradGuard no_grad;  // the second expert takes every token
    site.mixture.gates()[0]->tensors()[0].tensor.zero_();
    site.mixture.gates()[0]->tensors()[0].tensor[1].fill_(1e6);
  }
  const at::Tensor x = numbers({kTokens, 7}, 2, at::kDouble).abs();
  const at::Tensor whole = at::matmul(site.b(), site.a());  // [9, 7]
  const at::Tensor kernel = site.kernels().slice(0, 1, 10).view({3, 3});
  const at::Tensor expert =
      at::kron(whole.slice(0, 0, 3).slice(1, 0, 3), kernel).slice(0, 0, 9).slice(1, 0, 7);
  EXPECT_LT(max_difference(site.delta(x), at::linear(x, expert)), 1e-12);
}

TEST(Ept, TheRankIsThatOfTheSharedPairTimesThatOfTheKernel) {
  for (const int kernel_rank : {1, 2, 3}) {
    Site site(12, 15, one_expert(3, 2));
    randomize(site.mixture, 5);
    const at::Tensor kernel = at::matmul(numbers({3, kernel_rank}, 8, at::kDouble),
                                         numbers({kernel_rank, 3}, 9, at::kDouble));
    site.kernels().copy_(kernel.view({9}));
    const at::Tensor singular = std::get<1>(at::linalg_svd(site.matrix().contiguous()));
    EXPECT_EQ((singular > 1e-10).sum().item<int64_t>(), 2 * kernel_rank);
  }
}

TEST(Ept, SelectedWeightsAreThoseOfTheSoftmaxOverAll) {
  Site site(6, 8,
            "{method: ept, experts: {count: 3, rank: 2, kernel_sizes: [2, 2, 3]},"
            " gate: {temperature: 0.5}, target_modules: [up_proj]}");
  randomize(site.mixture, 5);
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  const at::Tensor x = numbers({kTokens, 6}, 2, at::kDouble);
  site.group.forward({x, x}, context);
  const at::Tensor p =
      at::softmax(at::linear(x, site.mixture.gates()[0]->tensors()[0].tensor) / 0.5, 1);
  EXPECT_LT(max_difference(log.records[0].probabilities, p), 1e-14);
  EXPECT_TRUE(
      at::equal(log.records[0].weights, log.records[0].probabilities * log.records[0].selected));
}

TEST(Ept, SizesThatDoNotFitAreRefused) {
  const auto message = [](const std::string& section) -> std::string {
    try {
      read_section(section);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(message("{method: ept, num_experts: 4}"), HasSubstr("given 8 sizes, expected 4"));
  EXPECT_THAT(message("{method: ept, experts: {count: 1, kernel_sizes: [0]}, top_k: 1}"),
              HasSubstr("given 0, expected 1 to 1024"));
  EXPECT_THAT(message("{experts: {kernel_sizes: [2]}}"),
              HasSubstr("given kind lora, expected kronecker"));
}

}  // namespace
}  // namespace lmoe::test
