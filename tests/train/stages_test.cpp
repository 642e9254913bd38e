// Experts that learn one after another: who changes in which step.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "train/optimizer.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

constexpr int64_t kExperts = 3;

/// A, B and the numbers of gates of one expert, of all sites.
std::vector<at::Tensor> of_expert(const mixture::Mixture& mixture, int64_t expert) {
  std::vector<at::Tensor> all;
  for (const mixture::ExpertBank* bank : mixture.expert_banks()) {
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const mixture::ExpertFactors factors = bank->folder_factors(t, expert);
      all.push_back(factors.a.detach().clone());
      all.push_back(factors.b.detach().clone());
    }
  }
  return all;
}

std::vector<at::Tensor> numbers_of(const mixture::Mixture& mixture, int64_t expert) {
  std::vector<at::Tensor> all;
  for (const auto& gate : mixture.gates())
    all.push_back(
        gate->tensors()[0].tensor.detach().view({-1, kExperts}).select(1, expert).clone());
  return all;
}

TEST(Stages, InEachStepOnlyItsExpertAndTheNumbersBeforeItChange) {
  for (const bool has_starts : {false, true}) {
    const test::TempFolder folder;
    recipe::Recipe recipe = tiny_recipe(folder.path() / "run", "scalezero");
    if (has_starts) recipe.mixture.schedule.stage_starts = {0.0, 0.25, 0.5};
    const std::vector<int64_t> stages = has_starts ? std::vector<int64_t>{0, 0, 1, 1, 2, 2, 2, 2}
                                                   : std::vector<int64_t>{0, 0, 0, 1, 1, 1, 2, 2};
    TinyRun run(recipe);
    std::vector<std::vector<at::Tensor>> experts, numbers;
    const auto look = [&] {
      experts.clear();
      numbers.clear();
      for (int64_t e = 0; e < kExperts; ++e) {
        experts.push_back(of_expert(*run.mixture, e));
        numbers.push_back(numbers_of(*run.mixture, e));
      }
    };
    look();
    TrainCallbacks callbacks;
    callbacks.on_event = [&](const TrainEvent& event) {
      if (event.kind != TrainEvent::Kind::kStep) return;
      const int64_t stage = stages[static_cast<size_t>(event.report.step - 1)];
      for (int64_t e = 0; e < kExperts; ++e) {
        const auto i = static_cast<size_t>(e);
        EXPECT_EQ(!same_bits(of_expert(*run.mixture, e), experts[i]), e == stage)
            << "step " << event.report.step << ", expert " << e;
        EXPECT_EQ(!same_bits(numbers_of(*run.mixture, e), numbers[i]), e < stage)
            << "step " << event.report.step << ", numbers of " << e;
      }
      look();
    };
    EXPECT_EQ(run.start(callbacks).steps, 8);
    for (const auto& gate : run.mixture->gates())
      EXPECT_EQ(gate->active_experts().item<float>(), 3.0F);
  }
}

/// What a stage learns does not depend on how much the optimizer remembered of the one before.
TEST(Stages, TheOptimizerBeginsEachStageAnew) {
  const test::TempFolder folder;
  recipe::Recipe recipe = tiny_recipe(folder.path() / "run", "scalezero");
  TinyRun run(recipe);
  const auto optimizer = make_optimizer(run.mixture->parameters(), recipe.optimizer);
  for (const nn::NamedTensor& parameter : run.mixture->parameters())
    at::Tensor(parameter.tensor).mutable_grad() = at::ones_like(parameter.tensor);
  optimizer->step(1e-3);
  optimizer->forget();
  for (const nn::NamedTensor& remembered : optimizer->state())
    EXPECT_EQ(remembered.tensor.abs().max().item<double>(), 0.0) << remembered.name;
}

}  // namespace
}  // namespace lmoe::train
