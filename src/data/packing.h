// Packed rows: several examples end to end, no padding, with their boundaries.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/render.h"

namespace lmoe::data {

/// One example inside a row. Attention stays inside it and positions start at 0 in it.
struct Segment {
  int32_t start = 0;
  int32_t length = 0;
  int32_t dataset = 0;  ///< index into the data sets of the run
  int64_t line = 0;     ///< of the data set's file
  int32_t task = 0;     ///< of the data set
  int32_t prompt = 0;   ///< tokens before the first one that is learned; -1: nobody knows
  /// Both sides of a preference have the same number in their row, the chosen one stands first; -1:
  /// a document of its own.
  int32_t pair = -1;
  Passages passages = {};  ///< counted from its first token
};

struct PackedRow {
  std::vector<TokenId> ids;
  std::vector<TokenId> labels;  ///< as in Example; a segment's first label is kIgnoreLabel
  std::vector<Segment> segments;

  int64_t length() const { return static_cast<int64_t>(ids.size()); }
  int64_t labelled() const;
  int64_t pairs() const;
};

/// Bins of item indices, best fit decreasing: no bin's lengths sum to more than `capacity`.
/// Deterministic; equal lengths keep their order. Throws kInvalidArgument for an item longer than
/// capacity.
std::vector<std::vector<int32_t>> pack_best_fit(std::span<const int32_t> lengths, int32_t capacity);

}  // namespace lmoe::data
