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
#include <memory>
#include <string>

#include "mixture/gate_inputs.h"
#include "mixture/mixture.h"

namespace lmoe::mixture {

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

}  // namespace lmoe::mixture
