// RMSNorm over rows, forward and backward.
#pragma once

#include <cstdint>

#include "kernels/stored_types.h"

namespace lmoe::kernels {

/// y = x * rstd * weight with rstd = 1 / sqrt(mean(x^2) + eps); x, y [rows, width].
template <class T>
void rms_norm_rows(const T* x,
                   const accumulate_t<T>* weight,
                   double eps,
                   int64_t rows,
                   int64_t width,
                   T* y,
                   accumulate_t<T>* rstd);

/// The gradient of x, with the rstd of the forward.
template <class T>
void rms_norm_backward_rows(const T* x,
                            const accumulate_t<T>* weight,
                            const accumulate_t<T>* rstd,
                            const T* dy,
                            int64_t rows,
                            int64_t width,
                            T* dx);

}  // namespace lmoe::kernels
