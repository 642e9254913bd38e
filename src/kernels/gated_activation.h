// The middle of a gated MLP: activation(gate) * up, forward and backward.
#pragma once

#include <cstdint>

namespace lmoe::kernels {

/// kGeluTanh is the approximation with tanh, kGelu the exact form with erf.
enum class GatedActivation { kSilu, kGeluTanh, kGelu };

/// y = activation(gate) * up; T is float, BFloat16 or double. y may be gate or up.
template <class T>
void gated_values(GatedActivation kind, const T* gate, const T* up, int64_t count, T* y);

/// Gradients of gate and up; they may lie where gate and up are.
template <class T>
void gated_values_backward(
    GatedActivation kind, const T* gate, const T* up, const T* dy, int64_t count, T* dgate, T* dup);

}  // namespace lmoe::kernels
