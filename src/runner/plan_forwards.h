// Inputs of a step, cut into forwards of bounded size.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decode/step_model.h"

namespace lmoe::runner {

/// A part of an input that goes into one forward.
struct Piece {
  size_t input = 0;
  size_t first = 0, count = 0;  ///< of the input's ids
  bool is_last = false;         ///< its last row gives the input's logits
};

/// Forwards of at most kTokensPerForward positions, `extra` of which come with each input; cut
/// between inputs only, where they stay whole.
std::vector<std::vector<Piece>> plan_forwards(std::span<const decode::StepInput> inputs,
                                              bool stay_whole,
                                              int64_t extra);

}  // namespace lmoe::runner
