// Sequences, in order, that go through the model in one forward.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lmoe::runner {

/// Tokens of one forward; a longer sequence has a forward of its own.
inline constexpr int64_t kTokensPerForward = 4096;

/// Sequences [first, last) of one forward.
struct Pack {
  size_t first = 0, last = 0;
};

/// `extra` positions come with each sequence.
inline std::vector<Pack> make_packs(std::span<const std::vector<int32_t>> sequences,
                                    int64_t extra = 0) {
  std::vector<Pack> packs;
  int64_t tokens = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto length = extra + std::ssize(sequences[i]);
    if (packs.empty() || tokens + length > kTokensPerForward) {
      packs.push_back({i, i});
      tokens = 0;
    }
    packs.back().last = i + 1;
    tokens += length;
  }
  return packs;
}

}  // namespace lmoe::runner
