#include "train/flat_shares.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "train/adamw.h"
#include "train/gradients.h"

namespace lmoe::train {
namespace {

/// Of units, of parts of them, of nothing.
const std::vector<int64_t> kSizes = {3, 0, kSliceUnit, 1, 2 * kSliceUnit + 77, 40 * kSliceUnit, 21};

/// Again with one thread at the end.
class FlatShares : public ::testing::TestWithParam<int> {
 protected:
  FlatShares() { at::set_num_threads(GetParam()); }
  ~FlatShares() override { at::set_num_threads(1); }
};

INSTANTIATE_TEST_SUITE_P(Threads, FlatShares, ::testing::Values(1, 2, 3, 7));

TEST_P(FlatShares, AreAllElementsOnce) {
  std::vector<at::Tensor> times;
  for (const int64_t size : kSizes) times.push_back(at::zeros({size}));
  std::mutex mutex;
  std::vector<int64_t> shares;
  share_out(kSizes, [&](std::span<const Slice> slices) {
    int64_t elements = 0;
    for (const Slice& slice : slices) {
      EXPECT_EQ(slice.begin % kSliceUnit, 0);
      slice.of(times[slice.tensor]).add_(1);
      elements += slice.size;
    }
    const std::lock_guard lock(mutex);
    shares.push_back(elements);
  });
  EXPECT_TRUE(at::equal(at::cat(times), at::ones_like(at::cat(times))));
  EXPECT_EQ(shares.size(), static_cast<size_t>(GetParam()));
  const auto [least, most] = std::minmax_element(shares.begin(), shares.end());
  EXPECT_LE(*most - *least, 2 * kSliceUnit);
}

/// Parameters with gradients, the same for the same seed.
std::vector<nn::NamedTensor> parameters(at::ScalarType dtype = at::kFloat) {
  at::manual_seed(4);
  std::vector<nn::NamedTensor> all;
  for (const int64_t size : kSizes) {
    at::Tensor tensor = at::randn({size}, dtype);
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = at::randn({size}, dtype);
    all.push_back({"w" + std::to_string(size), tensor});
  }
  return all;
}

TEST_P(FlatShares, AdamWHasTheBitsOfOneTensorAfterTheOther) {
  recipe::OptimizerOptions options;
  options.weight_decay = 0.1;
  const auto mine = parameters(), expected = parameters();
  AdamW optimizer(mine, options);
  std::vector<at::Tensor> means, squares;
  for (const nn::NamedTensor& one : expected) {
    means.push_back(at::zeros_like(one.tensor).detach());
    squares.push_back(at::zeros_like(one.tensor).detach());
  }
  for (int step = 1; step <= 3; ++step) {
    optimizer.step(0.01);
    for (size_t i = 0; i < expected.size(); ++i) {
      const at::Tensor value = expected[i].tensor.detach();
      at::_fused_adamw_({value}, {expected[i].tensor.grad()}, {means[i]}, {squares[i]}, {},
                        {at::full({}, static_cast<float>(step))}, 0.01, options.adam_beta1,
                        options.adam_beta2, options.weight_decay, options.adam_epsilon, false,
                        false);
      EXPECT_TRUE(at::equal(mine[i].tensor, expected[i].tensor)) << mine[i].name;
    }
  }
}

TEST_P(FlatShares, TheNormOfGradientsDoesNotDependOnThreads) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const auto all = parameters(dtype);
    const double norm = gradient_norm(all);
    std::vector<at::Tensor> flat;
    for (const nn::NamedTensor& one : all) flat.push_back(one.tensor.grad().to(at::kDouble));
    const double expected = at::cat(flat).norm().item<double>();
    EXPECT_NEAR(norm, expected, 1e-13 * expected);
    at::set_num_threads(1);
    EXPECT_EQ(gradient_norm(all), norm);
    at::set_num_threads(GetParam());
  }
}

TEST_P(FlatShares, ClippingHasTheBitsOfOneTensorAfterTheOther) {
  const auto mine = parameters(), expected = parameters();
  clip_gradients(mine, 7.0, 2.0);
  for (size_t i = 0; i < mine.size(); ++i) {
    expected[i].tensor.grad().mul_(2.0 / 7.0);
    EXPECT_TRUE(at::equal(mine[i].tensor.grad(), expected[i].tensor.grad()));
  }
}

}  // namespace
}  // namespace lmoe::train
