// Projections with their socket, the KV cache's slots, and positions.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/forward_context.h"
#include "nn/kv_cache.h"
#include "nn/projection.h"

namespace lmoe::nn {
namespace {

class AddOne : public ProjectionDelta {
 public:
  std::vector<at::Tensor> apply(const SocketInput&,
                                std::vector<at::Tensor> outputs,
                                ForwardContext&) override {
    for (at::Tensor& output : outputs) output = output + 1;
    return outputs;
  }
};

TEST(ProjectionGroup, computes_each_linear_and_lets_a_delta_change_the_outputs) {
  const at::Tensor x = at::randn({3, 4}), a = at::randn({5, 4}), b = at::randn({2, 4});
  const at::Tensor bias = at::randn({2});
  ProjectionGroup group(0, "self_attn",
                        {{"q_proj", "m.q_proj", a, {}}, {"k_proj", "m.k_proj", b, bias}});
  ForwardContext context;
  auto plain = group.forward({x, x}, context);
  EXPECT_TRUE(at::allclose(plain[0], at::matmul(x, a.t())));
  EXPECT_TRUE(at::allclose(plain[1], at::matmul(x, b.t()) + bias));
  group.plug(std::make_shared<AddOne>());
  EXPECT_TRUE(at::equal(group.forward({x, x}, context)[1], plain[1] + 1));
  EXPECT_THROW(group.plug(std::make_shared<AddOne>()), Error);
  group.unplug();
  EXPECT_TRUE(at::equal(group.forward({x, x}, context)[1], plain[1]));
}

TEST(KvCache, grows_without_losing_rows_and_reuses_slots) {
  KvCache cache(2, 1, 2, at::kFloat);
  const int64_t first = cache.open_slot();
  cache.reserve(3);
  cache.keys(1, /*is_first_pass=*/false).select(0, first).narrow(0, 0, 3).fill_(7);
  cache.advance(first, 3);
  std::vector<int64_t> others;
  for (int i = 0; i < 9; ++i) others.push_back(cache.open_slot());
  cache.reserve(1000);
  EXPECT_GE(cache.keys(1, /*is_first_pass=*/false).size(1), 1000);
  EXPECT_TRUE(cache.keys(1, /*is_first_pass=*/false)
                  .select(0, first)
                  .narrow(0, 0, 3)
                  .eq(7)
                  .all()
                  .item<bool>());
  EXPECT_EQ(cache.length(first), 3);
  cache.truncate(first, 1);
  EXPECT_EQ(cache.length(first), 1);
  EXPECT_THROW(cache.truncate(first, 2), Error);
  cache.close_slot(others[4]);
  EXPECT_EQ(cache.open_slot(), others[4]);
  EXPECT_EQ(cache.length(others[4]), 0);
}

TEST(Positions, continue_after_the_past_of_each_segment) {
  const at::Tensor positions = make_positions({{0, 2, 5, 0}, {2, 3}});
  EXPECT_TRUE(at::equal(positions, at::tensor({5, 6, 0, 1, 2}, at::kLong)));
}

}  // namespace
}  // namespace lmoe::nn
