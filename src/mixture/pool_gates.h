// The gates a loss looks at as one: `over` of a loss.
#pragma once

#include <vector>

#include "nn/forward_context.h"
#include "spec/loss_spec.h"

namespace lmoe::mixture {

/// The records themselves, or, where `over` pools, one for all gates or for the gates of each
/// layer, with their tokens one after another.
std::vector<nn::GateRecord> pool_gates(const nn::RouterLog& log, spec::LossOver over);

}  // namespace lmoe::mixture
