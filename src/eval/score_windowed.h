// Log-probabilities of sequences of any length.
//
// A sequence longer than the model's positions is read in overlapping windows: the first scores all
// its tokens, each later one begins `stride` tokens after the one before and scores only tokens not
// scored yet. So every token but those of the first window has at least max_positions - stride
// tokens before it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "decode/step_model.h"

namespace lmoe::eval {

struct WindowOptions {
  int64_t stride = 0;  ///< 0: half of the model's positions
  int64_t max_tokens_per_call =
      2048;  ///< given to StepModel::score at once; a longer window goes alone
  /// As in StepModel::score; a window that begins after the prompt has none. Sequences with
  /// passages must fit one window.
  decode::ScoredParts parts = {};
};

/// One result per sequence, in order; every sequence has at least one id. `on_scored` is called
/// after each model call with how many sequences became complete. Throws kInvalidArgument for a
/// stride out of range, ids outside the vocabulary, an empty sequence or one with passages that is
/// too long, kDiverged for NaN. Impossible tokens have -9999, because JSON has no infinity.
std::vector<decode::ScoredSequence> score_windowed(
    decode::StepModel& model,
    std::span<const std::vector<int32_t>> sequences,
    const WindowOptions& options = {},
    const std::function<void(int64_t)>& on_scored = {});

}  // namespace lmoe::eval
