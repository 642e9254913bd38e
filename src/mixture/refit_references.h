// Gates that ask references instead of being trained (`gate.net: nearest`), in place of those that
// a mixture has: what its gates read of some documents is kept, with the expert each of them goes
// to.
//
//   DocumentReferences references(mixture, tokens_per_document);
//   … for each document: forward with a router log that keeps inputs; references.add(log) …
//   auto refit = with_references(mixture, sockets, references.of(expert_of_document), retrieval);
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mixture/mixture.h"
#include "nn/nearest_references.h"

namespace lmoe::mixture {

/// By the site of a gate, the first where projections share their input.
using GateReferences = std::map<std::string, nn::References>;

/// What each gate read of some tokens of each document, evenly spaced.
class DocumentReferences {
 public:
  /// Throws kUnsupported for a mixture whose gates cannot be replaced by such.
  DocumentReferences(const Mixture& mixture, int64_t tokens_per_document);

  /// Of a forward of one document.
  void add(const nn::RouterLog& log);
  /// `experts`: one for each document.
  GateReferences of(const std::vector<int64_t>& experts) const;

 private:
  int64_t tokens_per_document_;
  std::map<std::string, std::vector<at::Tensor>> keys_;  ///< by site, of each document
};

/// The same experts under gates with these references, the same number for each. What only learning
/// gates have is dropped: losses, biases, noise, a schedule; selection stays, and weights sum to 1
/// where they came from sigmoids. Throws kInvalidArgument for more neighbours than references and
/// heads that do not divide what a gate reads, kUnsupported as above.
std::unique_ptr<Mixture> with_references(const Mixture& mixture,
                                         const nn::Sockets& sockets,
                                         const GateReferences& references,
                                         const nn::Retrieval& retrieval);

/// The same with gates that give one expert the weight 1 for every token.
std::unique_ptr<Mixture> with_one_expert(const Mixture& mixture,
                                         const nn::Sockets& sockets,
                                         int64_t expert);

}  // namespace lmoe::mixture
