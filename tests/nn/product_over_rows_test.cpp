// The gradient of a factor: what at::mm gives, for every type, odd sizes and rows that lie apart.
#include "nn/product_over_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace lmoe::nn {
namespace {

void check(at::ScalarType dtype, double tolerance) {
  for (const auto& [rows, rank, width] : std::vector<std::array<int64_t, 3>>{
           {0, 3, 5}, {1, 1, 1}, {37, 3, 129}, {300, 8, 64}, {513, 21, 577}, {2048, 64, 96}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << rank << " x " << width);
    const at::Tensor wide_left = at::randn({rows, rank + 5}).to(dtype),
                     left = wide_left.narrow(1, 2, rank),
                     right = at::randn({rows, width}).to(dtype);
    const at::Tensor exact = 1.5 * at::mm(left.to(at::kDouble).t(), right.to(at::kDouble));
    const auto expect_close = [&](const at::Tensor& ours) {
      ASSERT_EQ(ours.sizes(), exact.sizes());
      EXPECT_EQ(ours.scalar_type(), dtype);
      EXPECT_LE((ours.to(at::kDouble) - exact).abs().max().item<double>(),
                tolerance * std::max(1.0, exact.abs().max().item<double>()));
    };
    expect_close(product_over_rows(left, right, 1.5));
    expect_close(product_over_rows(left, right.t().contiguous().t(), 1.5));
  }
}

TEST(ProductOverRows, GivesTheExactProduct) {
  at::manual_seed(5);
  check(at::kFloat, 1e-5);
  check(at::kDouble, 1e-13);
  check(at::kBFloat16, 2e-2);
}

TEST(ProductOverRows, IsTheSameForAnyNumberOfThreads) {
  at::manual_seed(6);
  const at::Tensor left = at::randn({700, 24}), right = at::randn({700, 321});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = product_over_rows(left, right);
  at::set_num_threads(3);
  EXPECT_TRUE(at::equal(alone, product_over_rows(left, right)));
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace lmoe::nn
