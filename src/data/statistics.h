// Counts of an encoded data set, printed before the first step.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/json.h"

namespace lmoe::data {

struct Example;

struct DatasetStatistics {
  int64_t examples = 0;
  int64_t dropped = 0;  ///< longer than sequence_len, left out
  int64_t cut = 0;      ///< longer than sequence_len, end removed
  int64_t tokens = 0;
  int64_t labelled_tokens = 0;
  double mean_tokens = 0.0;
  int64_t p95_tokens = 0;
  int64_t max_tokens = 0;

  double labelled_share() const {
    return tokens > 0 ? static_cast<double>(labelled_tokens) / static_cast<double>(tokens) : 0.0;
  }
  /// "1200 examples, 35120 tokens (mean 29.3, p95 44, max 61), 18 % labelled, 3 cut off"
  std::string text() const;
  Json json() const;
};

/// Lengths are those after cutting.
DatasetStatistics measure(std::span<const Example> examples);

}  // namespace lmoe::data
