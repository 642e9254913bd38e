// Balancing by biases: smora.md, invariant 4, and what a checkpoint must keep.
#include <gtest/gtest.h>

#include "mixture/gate.h"
#include "mixture/site_bank.h"
#include "sections.h"
#include "support/temp_folder.h"
#include "tiny_model.h"

namespace lmoe::test {
namespace {

constexpr double kRate = 0.25;

spec::MixtureSpec small_smora() {
  return read_section(
      "{method: smora, experts: {count: 4, alpha: 2}, select: {k: 2},"
      " bias: {rate: 0.25}, target_modules: [q_proj, v_proj]}");
}

nn::RouterLog chosen(const std::string& site, std::vector<int64_t> columns) {
  at::Tensor selected = at::zeros({static_cast<int64_t>(columns.size()) / 2, 4}, at::kBool);
  for (size_t i = 0; i < columns.size(); ++i)
    selected[static_cast<int64_t>(i / 2)][columns[i]] = true;
  nn::RouterLog log;
  log.records.push_back({site, 0, {}, {}, selected});
  return log;
}

TEST(BiasUpdate, OverloadedFallUnderloadedRiseTheMeanStays) {
  const TinyModel model(1);
  mixture::Mixture mixture(small_smora(), model.groups(), 1, at::kDouble);
  mixture::SelectionCounts counts;
  // Two micro-batches: counts 3, 1, 2, 2, mean 2.
  counts.add(chosen("layers.0.self_attn.q_proj", {0, 1, 0, 2}));
  counts.add(chosen("layers.0.self_attn.q_proj", {0, 3, 2, 3}));
  mixture.update_biases(counts);
  const at::Tensor bias = mixture.gates()[0]->bias();
  EXPECT_TRUE(at::equal(bias[0], at::tensor({-kRate, kRate, 0.0, 0.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(bias[1], at::zeros({4}, at::kDouble))) << "v_proj saw no tokens";
}

TEST(BiasUpdate, StandsStillWhileTheGatesDo) {
  const TinyModel model(1);
  spec::MixtureSpec spec = small_smora();
  spec.schedule.freeze_gates_from = 0.5;
  mixture::Mixture mixture(spec, model.groups(), 1, at::kDouble);
  mixture::SelectionCounts counts;
  counts.add(chosen("layers.0.self_attn.q_proj", {0, 1, 0, 2}));
  mixture.update_biases(counts, 0.5);
  EXPECT_EQ(mixture.gates()[0]->bias().abs().max().item<double>(), 0.0);
  mixture.update_biases(counts, 0.49);
  EXPECT_GT(mixture.gates()[0]->bias().abs().max().item<double>(), 0.0);
}

TEST(BiasUpdate, AForwardAloneChangesNothing) {
  const TinyModel model(1);
  mixture::Mixture mixture(small_smora(), model.groups(), 1, at::kDouble);
  mixture.plug(model.groups());
  nn::RouterLog log;
  nn::ForwardContext context;
  context.router_log = &log;
  context.is_training = true;
  model.forward(numbers({5, kHidden}, 1, at::kDouble), context);
  EXPECT_EQ(mixture.gates()[0]->bias().abs().max().item<double>(), 0.0);
}

TEST(BiasUpdate, BiasesAreSavedAndLoaded) {
  const TinyModel model(1);
  mixture::Mixture mixture(small_smora(), model.groups(), 1, at::kDouble);
  for (const nn::NamedTensor& buffer : mixture.buffers())
    buffer.tensor.copy_(numbers({4}, buffer.name.size(), at::kDouble));
  const TempFolder folder;
  mixture.save(folder.path(), "tiny");
  const auto loaded = mixture::Mixture::load(folder.path(), model.groups());
  const auto before = mixture.buffers(), after = loaded->buffers();
  ASSERT_EQ(before.size(), 2U);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].name, before[i].name);
    EXPECT_TRUE(at::equal(after[i].tensor, before[i].tensor)) << before[i].name;
  }
}

}  // namespace
}  // namespace lmoe::test
