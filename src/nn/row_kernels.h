// Inner loops over rows on plain pointers: RMSNorm, RoPE and gated activations, forward and
// backward. They have no threads of their own; callers split the rows.
//
// T is float, c10::BFloat16 or double; arithmetic is float, or double for double.
#pragma once

#include <cstdint>

#include "nn/accumulate.h"
#include "nn/gated_activation.h"

namespace lmoe::nn {

/// y = x * rstd * weight with rstd = 1 / sqrt(mean(x^2) + eps); x, y [rows, width].
template <class T>
void rms_norm_rows(const T* x,
                   const accumulate_t<T>* weight,
                   double eps,
                   int64_t rows,
                   int64_t width,
                   T* y,
                   accumulate_t<T>* rstd);
template <class T>
void rms_norm_backward_rows(const T* x,
                            const accumulate_t<T>* weight,
                            const accumulate_t<T>* rstd,
                            const T* dy,
                            int64_t rows,
                            int64_t width,
                            T* dx);

/// Turns the pairs (i, i + half) of every head by the row's angles, or back (`inverse`).
/// x, y [rows, heads, 2 half]; cos, sin [rows, half].
template <class T>
void rotate_rows(const T* x,
                 const accumulate_t<T>* cos,
                 const accumulate_t<T>* sin,
                 int64_t rows,
                 int64_t heads,
                 int64_t half,
                 bool inverse,
                 T* y);

/// y = activation(gate) * up.
template <class T>
void gated_values(GatedActivation kind, const T* gate, const T* up, int64_t count, T* y);
template <class T>
void gated_values_backward(
    GatedActivation kind, const T* gate, const T* up, const T* dy, int64_t count, T* dgate, T* dup);

}  // namespace lmoe::nn
