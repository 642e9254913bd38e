// The loss on held-out rows.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "data/packing.h"
#include "distributed/process_group.h"
#include "models/decoder.h"
#include "train/objective.h"

namespace lmoe::train {

inline constexpr int64_t kValidationTokens = 2048;

struct ValidationResult {
  ValidationResult(double mean_loss) : loss(mean_loss) {}  // NOLINT(google-explicit-constructor)

  double loss = 0.0;                    ///< per labelled token, or per pair
  std::optional<double> pair_accuracy;  ///< preference: share of pairs in the right order
};

/// The objective on all rows, without gradients and dropout; rows of a forward hold at most
/// `tokens_per_forward` tokens (at least one row). `progress(done, total)` is called after each
/// forward with counts of rows; what it throws ends the validation. The workers of `group` share
/// the forwards out and all return the result of all rows; kInterrupted in one of them is thrown by
/// all.
ValidationResult validate(const Objective& objective,
                          std::span<const data::PackedRow> rows,
                          int64_t tokens_per_forward = kValidationTokens,
                          const std::function<void(int64_t, int64_t)>& progress = {},
                          distributed::ProcessGroup& group = distributed::alone());

/// The same for a language model alone: cross-entropy per labelled token.
double validation_loss(const models::Decoder& decoder,
                       std::span<const data::PackedRow> rows,
                       int64_t tokens_per_forward = kValidationTokens,
                       const std::function<void(int64_t, int64_t)>& progress = {},
                       distributed::ProcessGroup& group = distributed::alone());

}  // namespace lmoe::train
