// What a step makes small: the summed loss of a micro-batch, and what it is divided by.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "data/packing.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/reward_head.h"
#include "recipe/recipe.h"
#include "train/micro_batch.h"

namespace lmoe::train {

struct LossSum {
  at::Tensor loss;                       ///< scalar with autograd, summed over the units
  std::optional<int64_t> correct_pairs;  ///< preference: the chosen answer has the greater reward
};

class Objective {
 public:
  virtual ~Objective() = default;
  /// What of a row the loss sums over: labelled tokens, or pairs.
  virtual int64_t units(const data::PackedRow& row) const = 0;
  /// Of one forward, those of prompts included.
  virtual int64_t positions(const data::PackedRow& row) const { return row.length(); }
  /// "token", "pair"
  virtual const char* unit() const = 0;
  /// Runs the decoder; `context` has the micro-batch's segments and positions.
  virtual LossSum loss_sum(const MicroBatch& batch, nn::ForwardContext& context) const = 0;
};

/// Cross-entropy of the labelled tokens.
std::unique_ptr<Objective> make_language_model_objective(const models::Decoder& decoder);
/// -log sigmoid(chosen - rejected) of each pair; rows hold pairs and nothing else. `default_task`
/// as in models::document_rewards.
std::unique_ptr<Objective> make_preference_objective(const models::Decoder& decoder,
                                                     const nn::RewardHead& head,
                                                     int64_t default_task);
/// With a reward head the second, without the first.
std::unique_ptr<Objective> make_objective(const models::Decoder& decoder,
                                          const mixture::Mixture& mixture,
                                          const nn::RewardHead* head);

/// The head that the recipe's objective needs over hidden states of that width; null for
/// language_model.
std::unique_ptr<nn::RewardHead> make_reward_head(const recipe::Recipe& recipe, int64_t hidden_size);

/// Everything a run trains, in the order of its optimizer and checkpoints.
std::vector<nn::NamedTensor> trained_parameters(const mixture::Mixture& mixture,
                                                const nn::RewardHead* head);

}  // namespace lmoe::train
