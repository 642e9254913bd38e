// The acceptance invariants of MoA, of its LoRA part.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "mixture/site_bank.h"
#include "sections.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr int64_t kTokens = 5;

void copy_experts(const mixture::Mixture& from, const mixture::Mixture& to) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < from.banks().size(); ++i) {
    const auto source = from.banks()[i]->bank().parameters();
    const auto target = to.banks()[i]->bank().parameters();
    for (size_t p = 0; p < source.size(); ++p) {
      at::Tensor tensor = target[p].tensor;
      tensor.copy_(source[p].tensor);
    }
  }
}

TEST(Moa, WeightsOfOneArePlainLora) {
  const std::string rest =
      ", experts: {rank: 2, alpha: 3}, target_modules: [q_proj, v_proj, down_proj]}";
  const TinyModel model(1), plain(1);
  mixture::Mixture moa(read_section("{method: moa" + rest), model.groups(), 3, at::kDouble);
  mixture::Mixture lora(read_section("{method: lora" + rest), plain.groups(), 3, at::kDouble);
  randomize(moa, 5);
  copy_experts(moa, lora);
  moa.plug(model.groups());
  lora.plug(plain.groups());
  const nn::ProjectionGroup& group = *model.groups()[0];
  const at::Tensor ones = at::ones({kTokens, kHidden}, at::kDouble);
  {
    const at::NoGradGuard no_grad;  // the sigmoid of 40 x 6 is 1 in float64
    for (const auto& gate : moa.gates()) gate->tensors()[0].tensor.fill_(40);
  }
  const at::Tensor x = numbers({kTokens, kHidden}, 1, at::kDouble);
  nn::ForwardContext context;
  const auto weighed = group.forward({x, ones}, context);
  const auto expected = plain.groups()[0]->forward({x, ones}, context);
  for (size_t i = 0; i < weighed.size(); ++i)
    EXPECT_LT(max_difference(weighed[i], expected[i]), 1e-14);
}

TEST(Moa, WeightsOfDifferentAdaptersAreIndependent) {
  const TinyModel model(1);
  mixture::Mixture moa(read_section("{method: moa, experts: {rank: 2}}"), model.groups(), 3,
                       at::kDouble);
  moa.plug(model.groups());
  randomize(moa, 5);
  const auto weights = [&] {
    nn::RouterLog log;
    nn::ForwardContext context;
    context.router_log = &log;
    const at::Tensor x = numbers({kTokens, kHidden}, 1, at::kDouble);
    model.groups()[0]->forward({x, x}, context);
    return log.records;
  };
  const auto before = weights();
  ASSERT_EQ(before.size(), 3u);
  {
    const at::NoGradGuard no_grad;
    moa.gates()[0]->tensors()[0].tensor[1].mul_(3);  // k_proj's row
  }
  const auto after = weights();
  EXPECT_TRUE(at::equal(before[0].weights, after[0].weights));
  EXPECT_GT(max_difference(before[1].weights, after[1].weights), 1e-3);
  EXPECT_TRUE(at::equal(before[2].weights, after[2].weights));
}

}  // namespace
}  // namespace lmoe::test
