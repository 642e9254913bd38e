// A bank of prompts beside the experts: `prompts` of the mixture grammar.
#pragma once

#include <cstdint>

#include "base/options.h"

namespace lmoe::spec {

/// Each entry is a key and a prompt of trained embeddings. What a document's prompt is about (the
/// mean of what its tokens enter the first layer as) is compared with the keys by cosine, and the
/// prompts of the nearest entries stand in front of the document, the nearest first (uni-rag.md).
struct PromptsSpec {
  int64_t count = 0;         ///< entries of the bank; 0: there is none
  int64_t length = 8;        ///< positions of each prompt
  int64_t select = 1;        ///< prompts in front of each document
  double init_range = 0.02;  ///< standard deviation of the first embeddings and keys
  /// Coefficient of the sum of 1 - cosine over the keys that a document found, which is what keys
  /// learn from; 0: they stay as they are. uni-rag.md leaves it open and 0.5 is ours; the code of
  /// L2P (arXiv 2112.08654), which has the same term, sets 1.
  double matching_coef = 0.5;
  /// Coefficient of max(0, triplet_margin + d(found) - d(nearest key that was not found)) with
  /// d = 1 - cosine, summed over the keys a document found: keys also learn to leave alone what
  /// others are for. 0: no such term. uni-rag.md has the term with a query, a positive and a
  /// negative, and neither says who these are here nor the numbers.
  double triplet_coef = 0.0;
  double triplet_margin = 0.2;  ///< in cosine, with triplet_coef
  /// The first so many entries stay as they are, keys and embeddings, while those that were
  /// appended learn.
  int64_t frozen = 0;

  /// How many positions a document has in front.
  int64_t positions() const { return count > 0 ? select * length : 0; }
  bool trains_keys() const { return matching_coef > 0.0 || triplet_coef > 0.0; }
  bool operator==(const PromptsSpec&) const = default;

  template <class Visitor>
  void for_each_field(Visitor&& visit) {
    visit(field("count", count, "entries of the bank of prompts; 0: none").range(0, 65536));
    visit(field("length", length, "positions of each prompt").range(1, 4096));
    visit(field("select", select, "prompts in front of each document, by cosine").range(1, 4096));
    visit(field("init_range", init_range, "standard deviation of the first embeddings and keys")
              .range(1e-6, 10.0));
    visit(field("matching_coef", matching_coef,
                "coefficient of 1 - cosine of the keys a document found; 0: keys do not learn")
              .range(0.0, 1e3));
    visit(field("triplet_coef", triplet_coef,
                "coefficient of how far keys a document found are from being nearer than others by "
                "triplet_margin; 0: off")
              .range(0.0, 1e3));
    visit(field("triplet_margin", triplet_margin, "by how much, in cosine; with triplet_coef")
              .range(0.0, 2.0));
    visit(field("frozen", frozen, "the first so many entries stay as they are").range(0, 65536));
  }
};

}  // namespace lmoe::spec
