#include "train/objective.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/document_rewards.h"
#include "nn/loss.h"

namespace lmoe::train {
namespace {

class LanguageModel : public Objective {
 public:
  explicit LanguageModel(const models::Decoder& decoder) : decoder_(decoder) {}

  int64_t units(const data::PackedRow& row) const override { return row.labelled(); }
  int64_t positions(const data::PackedRow& row) const override {
    return row.length() + std::ssize(row.segments) * decoder_.prompt_positions();
  }
  const char* unit() const override { return "token"; }

  LossSum loss_sum(const MicroBatch& batch, nn::ForwardContext& context) const override {
    const at::Tensor hidden = decoder_.forward(batch.ids, context);
    return {nn::labelled_cross_entropy_sum(hidden, batch.labels, decoder_.lm_head(),
                                           decoder_.config().final_logit_softcapping),
            std::nullopt};
  }

 private:
  const models::Decoder& decoder_;
};

class Preference : public Objective {
 public:
  Preference(const models::Decoder& decoder, const nn::RewardHead& head, int64_t default_task)
      : decoder_(decoder), head_(head), default_task_(default_task) {}

  int64_t units(const data::PackedRow& row) const override {
    LMOE_CHECK_ARG(row.pairs() * 2 == static_cast<int64_t>(row.segments.size()),
                   "[train] objective preference compares pairs of answers: given a row with ",
                   row.segments.size(), " documents and ", row.pairs(), " pairs");
    return row.pairs();
  }
  const char* unit() const override { return "pair"; }

  LossSum loss_sum(const MicroBatch& batch, nn::ForwardContext& context) const override {
    // The chosen side comes first (data::Segment).
    const at::Tensor rewards =
        models::document_rewards(decoder_, head_, batch.ids, context, default_task_)
            .reshape({-1, 2});
    const at::Tensor chosen = rewards.select(/*dim=*/1, 0), rejected = rewards.select(/*dim=*/1, 1);
    return {nn::preference_loss_sum(chosen, rejected), chosen.gt(rejected).sum().item<int64_t>()};
  }

 private:
  const models::Decoder& decoder_;
  const nn::RewardHead& head_;
  int64_t default_task_;
};

}  // namespace

std::unique_ptr<Objective> make_language_model_objective(const models::Decoder& decoder) {
  return std::make_unique<LanguageModel>(decoder);
}

std::unique_ptr<Objective> make_preference_objective(const models::Decoder& decoder,
                                                     const nn::RewardHead& head,
                                                     int64_t default_task) {
  return std::make_unique<Preference>(decoder, head, default_task);
}

std::unique_ptr<Objective> make_objective(const models::Decoder& decoder,
                                          const mixture::Mixture& mixture,
                                          const nn::RewardHead* head) {
  if (head == nullptr) return make_language_model_objective(decoder);
  return make_preference_objective(decoder, *head, mixture.spec().gate.default_task.value_or(0));
}

std::unique_ptr<nn::RewardHead> make_reward_head(const recipe::Recipe& recipe,
                                                 int64_t hidden_size) {
  if (recipe.objective.kind != recipe::Objective::kPreference) return nullptr;
  const nn::RewardHeadShape shape{.hidden_size = hidden_size,
                                  .heads = recipe::reward_heads(recipe),
                                  .passes = recipe.objective.reward_passes};
  return std::make_unique<nn::RewardHead>(shape, static_cast<uint64_t>(recipe.batch.seed));
}

std::vector<nn::NamedTensor> trained_parameters(const mixture::Mixture& mixture,
                                                const nn::RewardHead* head) {
  std::vector<nn::NamedTensor> all = mixture.trained_parameters();
  if (head == nullptr) return all;
  for (nn::NamedTensor& parameter : head->parameters()) all.push_back(std::move(parameter));
  return all;
}

}  // namespace lmoe::train
