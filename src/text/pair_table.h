// Hash table from a pair of tokens to its merge, made once and read from many threads.
#pragma once

#include <cstdint>
#include <vector>

#include "text/tokenizer.h"

namespace lmoe::text {

struct Merge {
  uint32_t rank;
  TokenId result;
};

class PairTable {
 public:
  explicit PairTable(size_t pairs) {
    size_t slots = 16;
    while (slots < pairs * 2) slots *= 2;
    slots_.resize(slots);
  }

  /// A pair given twice keeps the later merge.
  void insert(TokenId left, TokenId right, Merge merge) {
    Slot& slot = slots_[find_slot(key_of(left, right))];
    slot = {key_of(left, right), merge};
  }

  const Merge* find(TokenId left, TokenId right) const {
    const Slot& slot = slots_[find_slot(key_of(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.merge;
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge{};
  };

  static uint64_t key_of(TokenId left, TokenId right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) |
           static_cast<uint32_t>(right);
  }

  size_t find_slot(uint64_t key) const {
    const size_t mask = slots_.size() - 1;
    const uint64_t mixed = (key ^ (key >> 29)) * 0x9E3779B97F4A7C15ULL;
    size_t at = static_cast<size_t>(mixed >> 20) & mask;
    while (slots_[at].key != kEmpty && slots_[at].key != key) at = (at + 1) & mask;
    return at;
  }

  std::vector<Slot> slots_;
};

}  // namespace lmoe::text
