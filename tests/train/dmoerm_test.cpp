// The invariants of dmoerm (arXiv 2403.01197); that the loss is anti-symmetric is in
// tests/nn/reward_head_test.cpp.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "mixture/expert_bank.h"
#include "models/document_rewards.h"
#include "support/gradient_check.h"
#include "train/gradient_step.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

constexpr int64_t kCategories = 3, kPasses = 2;

/// In double, with random experts and heads.
struct Dmoerm {
  explicit Dmoerm(bool freeze_experts = false, double b_deviation = 0.2)
      : decoder(test::tiny_decoder(test::tiny_config(), at::kDouble)),
        mixture(small_spec(freeze_experts), decoder->sockets(), 1, at::kDouble),
        head(
            {.hidden_size = decoder->config().hidden_size, .heads = kCategories, .passes = kPasses},
            1,
            at::kDouble) {
    at::set_num_threads(1);  // threads that wait for each other cost more than such small tensors
    at::manual_seed(6);
    for (const nn::NamedTensor& one : mixture.parameters())
      one.tensor.detach().normal_(0.0, one.name.ends_with("lora_B") ? b_deviation : 0.2);
    for (const nn::NamedTensor& one : head.parameters()) one.tensor.detach().normal_(0.0, 0.2);
    mixture.plug(decoder->sockets());
  }

  static spec::MixtureSpec small_spec(bool freeze_experts) {
    spec::MixtureSpec spec = spec::find_method("dmoerm").preset();
    spec.experts.count = kCategories * kPasses;
    spec.experts.rank = 2;
    spec.experts.alpha = 2;
    spec.experts.dropout = 0.0;
    spec.schedule.freeze_experts = freeze_experts;
    return spec;
  }

  at::Tensor rewards(const std::vector<int64_t>& tasks) const {
    nn::ForwardContext context;
    for (size_t d = 0; d < tasks.size(); ++d)
      context.segments.push_back(
          {.start = static_cast<int64_t>(5 * d), .length = 5, .task = tasks[d]});
    const auto tokens = static_cast<int64_t>(5 * tasks.size());
    return models::document_rewards(*decoder, head, at::arange(tokens) % 50, context, 0);
  }

  std::unique_ptr<models::Decoder> decoder;
  mixture::Mixture mixture;
  nn::RewardHead head;
};

/// What belongs to one expert of all sites.
std::vector<at::Tensor> parts_of_expert(const mixture::Mixture& mixture, int64_t expert) {
  std::vector<at::Tensor> parts;
  for (const mixture::ExpertBank* bank : mixture.expert_banks()) {
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const mixture::ExpertFactors factors = bank->folder_factors(t, expert);
      parts.push_back(factors.a.detach());
      parts.push_back(factors.b.detach());
    }
  }
  return parts;
}

TEST(Dmoerm, ARewardDependsOnItsCategoryAlone) {
  const Dmoerm model;
  for (int64_t category = 0; category < kCategories; ++category) {
    const at::Tensor before = model.rewards({1, 1}).detach().clone();
    for (int64_t pass = 0; pass < kPasses; ++pass)
      for (at::Tensor& part : parts_of_expert(model.mixture, category * kPasses + pass))
        part.add_(0.25);
    for (const nn::NamedTensor& one : model.head.parameters())
      one.tensor.detach()[category].add_(0.25);
    EXPECT_EQ(at::equal(model.rewards({1, 1}), before), category != 1) << category;
  }
}

TEST(Dmoerm, EachPassHasAnExpertOfItsOwn) {
  const Dmoerm model;
  const at::Tensor before = model.rewards({2}).detach().clone();
  for (const int64_t expert : {4, 5}) {
    for (at::Tensor& part : parts_of_expert(model.mixture, expert)) part.add_(0.25);
    EXPECT_FALSE(at::allclose(model.rewards({2}), before)) << expert;
    for (at::Tensor& part : parts_of_expert(model.mixture, expert)) part.sub_(0.25);
  }
}

TEST(Dmoerm, DocumentsOfOneForwardDoNotTouchEachOther) {
  const Dmoerm model;
  const at::Tensor together = model.rewards({2, 0, -1, 1});
  nn::ForwardContext context;
  context.segments = {{.start = 0, .length = 5, .task = 1}};
  const at::Tensor alone =
      models::document_rewards(*model.decoder, model.head, at::arange(15, 20), context, 0);
  EXPECT_NEAR(together[3].item<double>(), alone[0].item<double>(), 1e-10);
  context.segments = {{.start = 0, .length = 5, .task = 0}};  // the default task
  const at::Tensor unlabelled =
      models::document_rewards(*model.decoder, model.head, at::arange(10, 15), context, 0);
  EXPECT_NEAR(together[2].item<double>(), unlabelled[0].item<double>(), 1e-10);
}

TEST(Dmoerm, WithZeroBAllPassesEndWithTheSame) {
  const Dmoerm model(/*freeze_experts=*/false, /*b_deviation=*/0.0);
  const at::Tensor ids = at::arange(5);
  std::vector<at::Tensor> states;
  for (int64_t expert = 0; expert < kCategories * kPasses; ++expert) {
    nn::ForwardContext context;
    context.segments = {{.start = 0, .length = 5, .task = expert}};
    states.push_back(model.decoder->forward(ids, context)[4]);
    EXPECT_TRUE(at::allclose(states[0], states.back(), 1e-12, 1e-12)) << expert;
  }
  // And the reward is that of the base's state, repeated for each pass.
  const at::Tensor expected = model.head.rewards(at::cat({states[0], states[0]}).unsqueeze(0),
                                                 at::tensor(std::vector<int64_t>{1}));
  EXPECT_NEAR(model.rewards({1})[0].item<double>(), expected[0].item<double>(), 1e-10);
}

TEST(Dmoerm, GradientsEqualCentralDifferences) {
  const Dmoerm model;
  const auto loss = [&] {
    const at::Tensor rewards = model.rewards({0, 0, 2, 2}).reshape({2, 2});
    return nn::preference_loss_sum(rewards.select(1, 0), rewards.select(1, 1));
  };
  loss().backward();
  double worst = 0, largest = 0;
  for (const nn::NamedTensor& one : trained_parameters(model.mixture, &model.head)) {
    const c10::NoGradGuard no_grad;
    const at::Tensor gradient = one.tensor.grad().contiguous();
    double* values = one.tensor.detach().data_ptr<double>();
    const int64_t stride = std::max<int64_t>(1, one.tensor.numel() / 25);
    for (int64_t i = 0; i < one.tensor.numel(); i += stride) {
      const double expected =
          test::central_difference([&] { return loss().item<double>(); }, values[i]);
      worst = std::max(worst, std::abs(expected - gradient.data_ptr<double>()[i]));
      largest = std::max(largest, std::abs(expected));
    }
  }
  EXPECT_GT(largest, 1e-3);
  EXPECT_LT(worst, 1e-7 * std::max(1.0, largest));
}

recipe::Recipe small_recipe(const fs::path& output_dir, int64_t passes) {
  recipe::Recipe recipe = tiny_recipe(output_dir, "dmoerm");
  recipe.objective = {recipe::Objective::kPreference, passes};
  recipe.mixture.experts.count = 4;
  recipe.mixture.experts.alpha = 4;
  recipe.data.sequence_len = 48;
  return recipe;
}

/// Phase 2: four tasks, each with an expert and a head; phase 3: two categories of two experts.
TEST(Dmoerm, TheAggregatorLearnsOverExpertsThatStayAsTheyAre) {
  const test::TempFolder folder;
  std::vector<data::EncodedDataset> capabilities;
  for (int32_t task = 0; task < 4; ++task)
    capabilities.push_back(preference_dataset(20, task, 4 + static_cast<uint64_t>(task)));
  TinyRun experts(small_recipe(folder.path() / "experts", 1), capabilities);
  EXPECT_EQ(experts.reward_head->shape().heads, 4);
  const std::vector<at::Tensor> before = experts.values();
  experts.start();
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_FALSE(at::equal(experts.values()[i], before[i])) << i;

  recipe::Recipe recipe = small_recipe(folder.path() / "aggregator", 2);
  recipe.mixture.schedule.freeze_experts = true;
  TinyRun run(recipe, {preference_dataset(20, 0, 8), preference_dataset(20, 1, 9)});
  EXPECT_EQ(run.reward_head->shape(), (nn::RewardHeadShape{16, 2, 2}));
  run.mixture->copy_from(*experts.mixture);
  const std::vector<at::Tensor> begin = run.values();
  run.start();
  const size_t lora_tensors = run.mixture->parameters().size();
  for (size_t i = 0; i < begin.size(); ++i)
    EXPECT_EQ(at::equal(run.values()[i], begin[i]), i < lora_tensors) << i;

  const std::vector<data::PackedRow> rows = {run.rows->next()};
  gather_gradients({.decoder = *run.decoder,
                    .mixture = *run.mixture,
                    .rows = rows,
                    .reward_head = run.reward_head.get()});
  for (const nn::NamedTensor& one : run.mixture->parameters())
    EXPECT_FALSE(one.tensor.grad().defined()) << one.name;
  for (const nn::NamedTensor& one : run.reward_head->parameters())
    EXPECT_TRUE(one.tensor.grad().defined()) << one.name;
}

}  // namespace
}  // namespace lmoe::train
