// The rows a new expert gets in every gate, from samples of what it is for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mixture/change_experts.h"
#include "models/decoder.h"

namespace lmoe::runner {

/// One forward per sequence of token ids, with `mixture` plugged into `decoder`; every token
/// counts. See mixture::GateInputs for the rule.
mixture::GateRows gate_rows_for(const models::Decoder& decoder,
                                const mixture::Mixture& mixture,
                                std::span<const std::vector<int32_t>> sequences);

}  // namespace lmoe::runner
