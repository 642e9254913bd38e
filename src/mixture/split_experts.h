// Finer experts out of a trained mixture's, which do together what they did before.
#pragma once

#include <cstdint>
#include <memory>

#include "mixture/mixture.h"

namespace lmoe::mixture {

/// Every expert becomes `parts` experts of rank / parts: its ranks in turn, and its row of every
/// gate for each. With top-k, k becomes k parts. The outputs stay as they are up to rounding, and
/// training may go on with finer experts (dynamic-dino.md). Throws kInvalidArgument when parts does
/// not divide the rank, kUnsupported where it would not preserve the outputs.
std::unique_ptr<Mixture> with_experts_split(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            int64_t parts);

}  // namespace lmoe::mixture
