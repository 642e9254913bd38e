// The gradients of all parameters taken together: length, clipping, removal.
#pragma once

#include <vector>

#include "nn/projection.h"

namespace lmoe::train {

/// Euclidean length over all parameters, summed in double.
double gradient_norm(const std::vector<nn::NamedTensor>& parameters);

/// Scales all gradients so that `norm`, their length, becomes at most `max_norm`; 0 never scales.
void clip_gradients(const std::vector<nn::NamedTensor>& parameters, double norm, double max_norm);

void clear_gradients(const std::vector<nn::NamedTensor>& parameters);

}  // namespace lmoe::train
