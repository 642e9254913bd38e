// Which token goes to which expert, sorted once per block.
//
// Tokens are cut into lanes, ranges that one thread works on alone, so that results of a token's
// experts are added without waiting; within a lane pairs are sorted by expert, then token.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lmoe::mixture {

struct ExpertPairs {
  int64_t tokens = 0, experts = 0, lanes = 0;
  std::vector<int32_t> token;     ///< of each pair
  std::vector<uint8_t> is_first;  ///< whether it is the first of its token
  std::vector<int64_t> first;     ///< [lanes * experts + 1] where each expert's pairs begin
  std::vector<int32_t> unused;    ///< tokens without any expert

  int64_t size() const { return static_cast<int64_t>(token.size()); }
  int64_t begin(int64_t lane, int64_t expert) const {
    return first[static_cast<size_t>(lane * experts + expert)];
  }
};

/// As many as threads, but none of few tokens: experts would be left with single rows.
int64_t lanes_for(int64_t tokens);

/// The pairs with a weight other than 0; weights [N, E], contiguous, float32 or float64.
ExpertPairs sort_pairs(const at::Tensor& weights, int64_t lanes);

}  // namespace lmoe::mixture
