// Passages: parts of a document that are kept apart, as Omni-Effects keeps its conditions
// (arXiv 2508.07981).
//
// A token of a passage sees, within the causal rule, its own passage and the document's beginning:
// the tokens before the first passage, which have read nothing but themselves. Any other token
// sees all before it. So nothing flows from one passage into another, in no layer: what lies
// between and behind passages has read them, and no passage reads it. Positions are those of the
// document; passages do not move them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lmoe {

struct Passage {
  int64_t begin = 0, end = 0;  ///< tokens [begin, end), counted from the document's beginning
  int64_t number = 1;          ///< from 1 on, another one for each passage of the document

  bool operator==(const Passage&) const = default;
};

/// Those of one document, in its order.
using Passages = std::vector<Passage>;

/// What lies among the tokens [first, first + count), counted from `first` on.
Passages passages_within(std::span<const Passage> passages, int64_t first, int64_t count);

/// `passages` with those of what stands behind it, from token `first` on, added.
void append_passages(Passages& passages, std::span<const Passage> more, int64_t first);

/// Throws kInvalidArgument, with `operation` in front, for passages that are empty, out of order or
/// share tokens, for numbers below 1 and for one that two passages have.
void check_passages(std::span<const Passage> passages, const std::string& operation);

}  // namespace lmoe
