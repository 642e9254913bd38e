// DMoERM's outer router as a learned gate (arXiv 2403.01197): a linear layer on what the frozen
// model ends with tells the category of a whole document, by cross-entropy against the task label;
// its argmax decides whose expert a document has. No label is needed afterwards.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "mixture/expert_bank.h"
#include "models/document_rewards.h"
#include "train/gradient_step.h"
#include "train/tiny_run.h"

namespace lmoe::train {
namespace {

constexpr int64_t kCategories = 3, kLength = 5;

spec::MixtureSpec routed_spec(int64_t categories = kCategories) {
  spec::MixtureSpec spec = spec::find_method("dmoerm").preset();
  spec.experts.count = categories;
  spec.experts.rank = 2;
  spec.experts.alpha = 2;
  spec.experts.dropout = 0.0;
  spec.gate = {.source = spec::GateSource::kLastHidden,
               .net = spec::GateNet::kClassifier,
               .share = spec::GateShare::kModel};
  spec.gate.layerwise = false;
  spec.gate.pool = spec::GatePool::kPrompt;
  spec.losses = {{.kind = spec::BalanceLoss::kTaskCrossEntropy}};
  spec.losses[0].coef = 1.0;
  spec::check_mixture(spec, "test");
  return spec;
}

/// In double, with random experts, gate and head.
struct Routed {
  Routed()
      : decoder(test::tiny_decoder(test::tiny_config(), at::kDouble)),
        mixture(routed_spec(), decoder->sockets(), 1, at::kDouble),
        head({.hidden_size = decoder->config().hidden_size}, 1, at::kDouble) {
    at::set_num_threads(1);
    at::manual_seed(6);
    for (const nn::NamedTensor& one : mixture.parameters()) one.tensor.detach().normal_(0.0, 0.3);
    mixture.plug(decoder->sockets());
  }

  /// Documents of kLength tokens, the ids counting up; `log` gets what the gate decided.
  at::Tensor rewards(int64_t documents, nn::RouterLog* log = nullptr, int64_t first = 0) const {
    nn::ForwardContext context;
    context.router_log = log;
    for (int64_t d = 0; d < documents; ++d)
      context.segments.push_back(
          {.start = kLength * d, .length = kLength, .task = d % kCategories});
    if (log != nullptr) log->segments = context.segments;
    const at::Tensor ids = at::arange(first, first + kLength * documents) % 50;
    return models::document_rewards(*decoder, head, ids, context, 0);
  }

  /// What the frozen model ends with, over the tokens of each document [D, H].
  at::Tensor pooled(int64_t documents) const {
    nn::ForwardContext context;
    for (int64_t d = 0; d < documents; ++d)
      context.segments.push_back({.start = kLength * d, .length = kLength});
    const auto base = test::tiny_decoder(test::tiny_config(), at::kDouble);
    return base->forward(at::arange(kLength * documents) % 50, context)
        .view({documents, kLength, -1})
        .mean(/*dim=*/1);
  }

  std::unique_ptr<models::Decoder> decoder;
  mixture::Mixture mixture;
  nn::RewardHead head;
};

/// The expert of each document [D], which is the same for all of its tokens and for all layers.
at::Tensor choices(const nn::RouterLog& log) {
  EXPECT_EQ(log.records.size(), 1u);
  const at::Tensor by_token = log.records[0].weights.argmax(/*dim=*/1).view({-1, kLength});
  EXPECT_TRUE(at::equal(by_token, by_token.select(1, 0).unsqueeze(1).expand_as(by_token)));
  EXPECT_TRUE(at::equal(log.records[0].weights.sum(/*dim=*/1),
                        at::ones({log.records[0].weights.size(0)}, at::kDouble)));
  return by_token.select(1, 0);
}

TEST(DmoermRouter, ARewardDependsOnTheExpertOfTheChosenCategoryAlone) {
  constexpr int64_t kDocuments = 8;
  nn::RouterLog log;
  const at::Tensor before = Routed().rewards(kDocuments, &log);
  const at::Tensor chosen = choices(log);
  for (int64_t category = 0; category < kCategories; ++category) {
    const Routed changed;
    for (const mixture::ExpertBank* bank : changed.mixture.expert_banks())
      for (size_t t = 0; t < bank->targets().size(); ++t)
        bank->folder_factors(t, category).b.detach().add_(0.25);
    const at::Tensor after = changed.rewards(kDocuments);
    for (int64_t d = 0; d < kDocuments; ++d)
      EXPECT_EQ(before[d].item<double>() == after[d].item<double>(),
                chosen[d].item<int64_t>() != category)
          << d << " " << category;
  }
}

TEST(DmoermRouter, IsTheArgmaxOfALinearLayerOnThePooledStatesOfTheFrozenModel) {
  const Routed model;
  nn::RouterLog log;
  model.rewards(6, &log);
  const std::vector<nn::NamedTensor> gate = model.mixture.gate_parameters();
  std::vector<nn::NamedTensor> all = gate;
  for (const nn::NamedTensor& one : model.mixture.common_gate_parameters()) all.push_back(one);
  ASSERT_EQ(all.size(), 2u);
  const at::Tensor logits =
      at::linear(model.pooled(6), all[0].tensor.detach(), all[1].tensor.detach());
  EXPECT_TRUE(at::equal(choices(log), logits.argmax(/*dim=*/1)));
  const at::Tensor expected =
      at::cross_entropy_loss(logits, at::arange(6, at::kLong) % kCategories);
  EXPECT_NEAR(model.mixture.auxiliary_loss(log).item<double>(), expected.item<double>(), 1e-9);
}

TEST(DmoermRouter, LearnsFromItsLabelsAndExpertsFromPairsAlone) {
  const Routed model;
  const auto gradients = [&](const at::Tensor& loss) {
    for (const nn::NamedTensor& one : model.mixture.parameters()) one.tensor.mutable_grad().reset();
    loss.backward();
    bool gate = false, experts = false;
    for (const nn::NamedTensor& one : model.mixture.parameters()) {
      const at::Tensor& gradient = one.tensor.grad();
      const bool moves = gradient.defined() && gradient.abs().max().item<double>() > 0;
      const bool is_expert = one.name.find("lora_") != std::string::npos;
      (is_expert ? experts : gate) |= moves;
    }
    return std::make_pair(gate, experts);
  };
  nn::RouterLog log;
  const at::Tensor rewards = model.rewards(4, &log).view({2, 2});
  EXPECT_EQ(gradients(nn::preference_loss_sum(rewards.select(1, 0), rewards.select(1, 1))),
            std::make_pair(false, true));
  nn::RouterLog again;
  model.rewards(4, &again);
  EXPECT_EQ(gradients(model.mixture.auxiliary_loss(again)), std::make_pair(true, false));
}

TEST(DmoermRouter, DocumentsOfOneForwardDoNotTouchEachOther) {
  const Routed model;
  const at::Tensor together = model.rewards(4);
  EXPECT_NEAR(together[2].item<double>(), model.rewards(1, nullptr, 2 * kLength)[0].item<double>(),
              1e-10);
}

/// Pairs whose tokens lie in [from, from + 20).
data::EncodedDataset pairs_of_category(int32_t task, int32_t from) {
  data::EncodedDataset dataset = preference_dataset(24, task, 4 + static_cast<uint64_t>(task));
  for (data::Example& example : dataset.examples) {
    for (size_t i = 0; i < example.ids.size(); ++i) {
      if (example.ids[i] < 48) example.ids[i] = from + example.ids[i] % 20;
      if (example.labels[i] != data::kIgnoreLabel) example.labels[i] = example.ids[i];
    }
  }
  return dataset;
}

recipe::Recipe routed_recipe(const fs::path& output_dir) {
  recipe::Recipe recipe = tiny_recipe(output_dir, "dmoerm");
  recipe.objective = {recipe::Objective::kPreference, 1};
  recipe.mixture = routed_spec(2);
  recipe.data.sequence_len = 48;
  recipe.batch.max_steps = 60;
  recipe.optimizer.learning_rate = 2e-2;
  return recipe;
}

double share_of_right_categories(const TinyRun& run) {
  int64_t right = 0, documents = 0;
  for (const data::EncodedDataset& dataset : run.datasets) {
    for (const data::Example& example : dataset.examples) {
      nn::RouterLog log;
      nn::ForwardContext context;
      context.router_log = &log;
      context.segments = {{.start = 0, .length = example.length()}};  // nobody knows its task
      models::document_rewards(*run.decoder, *run.reward_head,
                               at::tensor(example.ids, at::kInt).to(at::kLong), context, 0);
      right += log.records[0].weights[0].argmax().item<int64_t>() == dataset.task;
      ++documents;
    }
  }
  return static_cast<double>(right) / static_cast<double>(documents);
}

TEST(DmoermRouter, TellsCategoriesApartWithoutLabelsAfterTraining) {
  const test::TempFolder folder;
  TinyRun run(routed_recipe(folder.path() / "run"),
              {pairs_of_category(0, 0), pairs_of_category(1, 25)});
  EXPECT_EQ(run.reward_head->shape().heads, 1);
  run.start();
  EXPECT_GT(share_of_right_categories(run), 0.95);
}

/// Phase 3: what has been learned about pairs stays as it is.
TEST(DmoermRouter, FrozenExpertsGetNoGradient) {
  const test::TempFolder folder;
  recipe::Recipe recipe = routed_recipe(folder.path() / "run");
  recipe.mixture.schedule.freeze_experts = true;
  recipe.batch.max_steps = 3;
  TinyRun run(recipe, {pairs_of_category(0, 0), pairs_of_category(1, 25)});
  run.start();
  const std::vector<data::PackedRow> rows = {run.rows->next()};
  for (const nn::NamedTensor& one : run.mixture->parameters()) one.tensor.mutable_grad().reset();
  gather_gradients({.decoder = *run.decoder,
                    .mixture = *run.mixture,
                    .rows = rows,
                    .reward_head = run.reward_head.get()});
  for (const nn::NamedTensor& one : run.mixture->parameters())
    EXPECT_EQ(one.tensor.grad().defined(), one.name.find("lora_") == std::string::npos) << one.name;
}

}  // namespace
}  // namespace lmoe::train
