// The gates of a trained mixture fitted anew, without a gradient: one expert for each cluster of
// documents (cluster_gate.h).
//
//   DocumentContexts contexts(mixture);
//   … for each document: forward with a router log that keeps inputs; contexts.add(log) …
//   … losses[n][e]: document n with expert_alone(mixture, sockets, e) plugged in …
//   auto refit = with_gates_refitted(mixture, sockets, contexts, losses);
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mixture/mixture.h"

namespace lmoe::mixture {

/// What each gate read on average, document by document.
class DocumentContexts {
 public:
  /// Throws kUnsupported unless gates are linear over the input of the projection or block.
  explicit DocumentContexts(const Mixture& mixture);

  /// Of a forward of one document.
  void add(const nn::RouterLog& log);
  int64_t size() const { return documents_; }
  at::Tensor of(const std::string& site) const;  ///< [N, D]
  /// Of a gate half-way up, [N, D], which documents are clustered by: below it are words, above it
  /// what comes next.
  at::Tensor of_middle() const { return of(middle_site_); }

 private:
  std::map<std::string, std::vector<at::Tensor>> means_;
  std::string middle_site_;
  int64_t documents_ = 0;
};

/// One expert with the weight 1 in all places, and no gate.
std::unique_ptr<Mixture> expert_alone(const Mixture& mixture,
                                      const nn::Sockets& sockets,
                                      int64_t expert);

struct RefittedGates {
  std::unique_ptr<Mixture> mixture;
  std::vector<int64_t> cluster_of;  ///< of each document
  std::vector<int64_t> expert_of;   ///< of each cluster
};

/// The same experts; every gate chooses one for each token, with weight 1, by rows fitted to its
/// own contexts, so that on average over a document the logit of its expert is 1 and those of the
/// others are 0. `losses` [N, E]. Biases that balanced the gates before are dropped. Throws
/// kInvalidArgument when the documents do not fall into as many clusters as there are experts:
/// then the gates would better stay as they are.
RefittedGates with_gates_refitted(const Mixture& mixture,
                                  const nn::Sockets& sockets,
                                  const DocumentContexts& contexts,
                                  const at::Tensor& losses,
                                  double ridge = 1e-8);

}  // namespace lmoe::mixture
