// The keys of a bank of prompts as training begins.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mixture/mixture.h"
#include "models/decoder.h"

namespace lmoe::runner {

/// Sets the keys of the mixture's bank to prototypes of these prompts (mixture/key_prototypes.h),
/// which are what comes before the first answer of documents. Where there are fewer prompts than
/// entries, the last keys stay as they are; nothing happens without a bank or without prompts.
void begin_with_prototypes(const models::Decoder& decoder,
                           const mixture::Mixture& mixture,
                           std::span<const std::vector<int32_t>> prompts);

}  // namespace lmoe::runner
