// The merge loop of byte-pair encoding.
#pragma once

#include <vector>

#include "text/pair_table.h"

namespace lmoe::text {

/// Merges `symbols[begin…]` in place: always the pair of lowest rank, the leftmost of equals. n log
/// n.
void merge_symbols(const PairTable& merges, std::vector<TokenId>& symbols, size_t begin);

}  // namespace lmoe::text
