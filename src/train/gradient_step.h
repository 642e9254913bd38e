// The gradients of one optimizer step, gathered over its micro-batches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "data/packing.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/document_cache.h"
#include "nn/reward_head.h"
#include "train/router_statistics.h"

namespace lmoe::train {

struct GradientStep {
  const models::Decoder& decoder;
  const mixture::Mixture& mixture;
  std::span<const data::PackedRow> rows;  ///< of the whole step, all workers
  int64_t micro_batch_size = 1;
  int64_t step = 0;   ///< 1-based
  uint64_t seed = 0;  ///< of what is random in a forward
  bool want_statistics = false;
  const std::function<bool()>* should_stop = nullptr;  ///< asked before each micro-batch
  double progress = 1.0;  ///< share of the training that was done before the step
  nn::DocumentCache* first_pass_cache = nullptr;     ///< for mixtures that decide from a first pass
  nn::DocumentCache* frozen_prefix_cache = nullptr;  ///< for layers below the adapted ones
  bool gradient_checkpointing = false;               ///< layers are computed again in the backward
  const nn::RewardHead* reward_head = nullptr;       ///< of objective preference
  int worker = 0, workers = 1;  ///< micro-batches worker, worker + workers, … are ours
  /// Called before the last backward, where gradients come from backwards alone and that of a
  /// micro-batch is one: what it accumulates is whole then.
  const std::function<void()>* before_last_backward = nullptr;
};

struct GradientResult {
  bool interrupted = false;  ///< gradients are incomplete
  double loss = 0.0;         ///< per labelled token, or per pair (objective.h)
  int64_t tokens = 0;
  int64_t labelled_tokens = 0;
  std::map<std::string, double> balance;
  RouterStatistics router;
  mixture::SelectionCounts selections;  ///< filled when the mixture balances by biases
};

/// Adds to the gradients of the mixture's and the head's parameters what this worker's
/// micro-batches give; result numbers are sums over these, but for both counts of tokens. Every
/// micro-batch's loss is divided by the labelled tokens (or the pairs) of the whole step, its
/// balance losses are weighted by its share of the step's tokens. Losses are means over the
/// forwards of a micro-batch (gradient_estimator.h). Dropout and other draws depend on seed, step
/// and number of the micro-batch alone. Throws kDiverged when a loss is not finite.
GradientResult gather_gradients(const GradientStep& step);

}  // namespace lmoe::train
