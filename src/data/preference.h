// Both sides of a preference as one example, so that packing, weights and holding out never part
// them.
#pragma once

#include "data/render.h"

namespace lmoe::data {

/// The record of one side: what both follow, and `answer`.
Record with_answer(const Record& record, const std::string& answer);

/// Two documents, each with loss on its last token alone. Both come with at least one token.
Example join_sides(const Example& chosen, const Example& rejected);

/// Cuts the ends of sides so that both together have at most `limit` tokens: a side shorter than
/// half of it stays whole. False when nothing of what sets them apart is left.
bool cut_sides(Example& preference, int64_t limit);

}  // namespace lmoe::data
