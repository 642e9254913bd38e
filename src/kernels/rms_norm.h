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

/// The same of sum = x + addend, rounded as it is stored.
template <class T>
void add_rms_norm_rows(const T* x,
                       const T* addend,
                       const accumulate_t<T>* weight,
                       double eps,
                       int64_t rows,
                       int64_t width,
                       T* sum,
                       T* y,
                       accumulate_t<T>* rstd);

/// What backward finds x * rstd again from.
template <class T>
struct KeptOfNorm {
  const T* rows = nullptr;                          ///< x, or y where `inverse_weight` is given
  const accumulate_t<T>* inverse_weight = nullptr;  ///< [width]
  const accumulate_t<T>* rstd = nullptr;            ///< [rows], of the forward
};

/// The gradient of x, and `dsum` added to it where that is given.
template <class T>
void rms_norm_backward_rows(KeptOfNorm<T> kept,
                            const accumulate_t<T>* weight,
                            const T* dy,
                            const T* dsum,
                            int64_t rows,
                            int64_t width,
                            T* dx);

}  // namespace lmoe::kernels
