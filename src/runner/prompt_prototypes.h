// What prompts are about, and the keys of a bank of prompts as training begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mixture/mixture.h"
#include "models/decoder.h"

namespace lmoe::runner {

/// What each of these prompts is about, as a bank of prompts compares it with its keys: the mean of
/// what its tokens enter the first layer as. [D, H] float64; prompts without tokens are left out.
/// Undefined for none.
at::Tensor prompt_features(const models::Decoder& decoder,
                           std::span<const std::vector<int32_t>> prompts);

/// Sets the keys of the mixture's bank to prototypes of these prompts (mixture/key_prototypes.h),
/// which are what comes before the first answer of documents. Where there are fewer prompts than
/// entries, the last keys stay as they are; nothing happens without a bank or without prompts.
void begin_with_prototypes(const models::Decoder& decoder,
                           const mixture::Mixture& mixture,
                           std::span<const std::vector<int32_t>> prompts);

}  // namespace lmoe::runner
