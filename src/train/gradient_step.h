// The gradients of one optimizer step, gathered over its micro-batches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "base/rng.h"
#include "data/packing.h"
#include "mixture/mixture.h"
#include "models/decoder.h"
#include "nn/document_cache.h"
#include "train/router_statistics.h"

namespace lmoe::train {

struct GradientStep {
  const models::Decoder& decoder;
  const mixture::Mixture& mixture;
  std::span<const data::PackedRow> rows;  ///< of the whole step
  int64_t micro_batch_size = 1;
  int64_t step = 0;  ///< for messages
  bool want_statistics = false;
  Rng* dropout_rng = nullptr;
  const std::function<bool()>* should_stop = nullptr;  ///< asked before each micro-batch
  double progress = 1.0;  ///< share of the training that was done before the step
  nn::DocumentCache* first_pass_cache = nullptr;     ///< for mixtures that decide from a first pass
  nn::DocumentCache* frozen_prefix_cache = nullptr;  ///< for layers below the adapted ones
  bool gradient_checkpointing = false;               ///< layers are computed again in the backward
};

struct GradientResult {
  bool interrupted = false;  ///< gradients are incomplete
  double loss = 0.0;         ///< cross-entropy per labelled token
  int64_t tokens = 0;
  int64_t labelled_tokens = 0;
  std::map<std::string, double> balance;
  RouterStatistics router;
  mixture::SelectionCounts selections;  ///< filled when the mixture balances by biases
};

/// Adds to the gradients of the mixture's parameters. Every micro-batch's cross-entropy is divided
/// by the labelled tokens of the whole step, its balance losses are weighted by its share of the
/// step's tokens. Losses are means over the forwards of a micro-batch (gradient_estimator.h).
/// Throws kDiverged when a loss is not finite.
GradientResult gather_gradients(const GradientStep& step);

}  // namespace lmoe::train
