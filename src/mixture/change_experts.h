// A trained mixture with other experts, without training it again.
//
//   auto changed = with_expert_added(*mixture, sockets, "math", "adapters/math", rows);
//   auto smaller = with_expert_removed(*mixture, sockets, "math");
//
// The weights of the experts that stay keep their ratios for every token, and their deltas: where
// the scaling depends on the number of experts, alpha is adjusted. For experts that are LoRAs of
// their own (kind lora, the same number in all layers) with linear gates over the input of the
// projection or of the block; everything else is refused (kUnsupported) with the reason.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mixture/mixture.h"

namespace lmoe::mixture {

/// By site of a gate: the row [D] that gives a new expert its logit. Sites without one get zeros:
/// a logit of 0 for every token.
using GateRows = std::map<std::string, at::Tensor>;

/// Throws kUnsupported.
void check_changeable(const spec::MixtureSpec& spec);

/// `adapter` is a PEFT LoRA folder of the mixture's targets and rank; another scaling is multiplied
/// into its B. Biases of the balancing start at the mean of the others. Throws kInvalidArgument
/// (name taken, adapter that does not fit), kNotFound, kCorruptData.
std::unique_ptr<Mixture> with_expert_added(const Mixture& mixture,
                                           const nn::Sockets& sockets,
                                           const std::string& name,
                                           const std::filesystem::path& adapter,
                                           const GateRows& rows);

/// Throws kNotFound for an unknown name, kInvalidArgument for the last expert or fewer than k.
std::unique_ptr<Mixture> with_expert_removed(const Mixture& mixture,
                                             const nn::Sockets& sockets,
                                             const std::string& name);

/// The expert keeps its name and its row of every gate.
std::unique_ptr<Mixture> with_expert_replaced(const Mixture& mixture,
                                              const nn::Sockets& sockets,
                                              const std::string& name,
                                              const std::filesystem::path& adapter);

/// Only says so in the spec (experts.frozen); training leaves the expert's A and B as they are.
std::unique_ptr<Mixture> with_expert_frozen(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            const std::string& name);

/// Every expert becomes `parts` experts of rank / parts: its ranks in turn, and its row of every
/// gate for each. With top-k, k becomes k parts. The outputs stay as they are up to rounding, and
/// training may go on with finer experts (dynamic-dino.md). Throws kInvalidArgument when parts does
/// not divide the rank, kUnsupported where it would not preserve the outputs.
std::unique_ptr<Mixture> with_experts_split(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            int64_t parts);

/// What the gates read on some samples, from which a new expert's rows follow in closed form.
///
/// With m the mean of a gate's inputs and l the mean over the samples of the largest logit, the row
/// is l m / |m|^2: on these samples the new expert's logit is on average that of the expert each
/// token would have chosen. The key of a cosine gate is m itself.
class GateInputs {
 public:
  explicit GateInputs(const Mixture& mixture);

  /// Of a forward with a router log that keeps inputs.
  void add(const nn::RouterLog& log);
  GateRows rows() const;

 private:
  struct Site {
    at::Tensor weight;         ///< [E, D]
    at::Tensor sum;            ///< [D], of the inputs, float64
    double largest_sum = 0.0;  ///< of the largest logits
    int64_t tokens = 0;
  };
  bool are_keys_;
  std::map<std::string, Site> sites_;
};

}  // namespace lmoe::mixture
