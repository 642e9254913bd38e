// Merges that SentencePiece leaves implicit: any two tokens whose concatenation is a token, best
// score first.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace lmoe::text {

/// `scores` has one number for each of `vocab`. Order: score downwards, then longer left, then
/// longer right, then ids.
std::vector<std::pair<std::string, std::string>> merges_from_scores(
    const std::vector<std::pair<std::string, TokenId>>& vocab, const std::vector<double>& scores);

}  // namespace lmoe::text
