// The gradients of all parameters taken together: length, clipping, removal.
#pragma once

#include <vector>

#include "nn/projection.h"

namespace lmoe::train {

/// Euclidean length over all parameters, whose gradients are contiguous float32 or float64; summed
/// in double, in an order that does not depend on the number of threads.
double gradient_norm(const std::vector<nn::NamedTensor>& parameters);

/// Scales all gradients so that `norm`, their length, becomes at most `max_norm`; 0 never scales.
void clip_gradients(const std::vector<nn::NamedTensor>& parameters, double norm, double max_norm);

void clear_gradients(const std::vector<nn::NamedTensor>& parameters);

}  // namespace lmoe::train
