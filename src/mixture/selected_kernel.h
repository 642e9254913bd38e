// Chosen experts of one projection on plain pointers, forward and backward, in chunks of an
// expert's tokens that stay in the cache.
//
//   y += w s B_e A_e x          only for tokens that chose e
//
// Tokens are read and added to where they are; only bfloat16 is copied, to be widened. Gradients of
// the factors are summed by threads that share the columns, so that none needs sums of its own.
//
// Legend: N tokens, M pairs of a token and an expert, E experts, R rank.
// T is float, c10::BFloat16 or double; A is what T is computed in, and the type of the factors.
#pragma once

#include <cstdint>

#include "mixture/expert_pairs.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {

template <class T>
struct SelectedInput {
  using A = nn::accumulate_t<T>;
  const ExpertPairs* pairs = nullptr;
  int64_t in = 0, out = 0, rank = 0, weight_stride = 0;
  A scaling = 1;
  const T* x = nullptr;        ///< [N, in]
  const A* weights = nullptr;  ///< of expert e of token t at t * weight_stride + e
  const A* a = nullptr;        ///< [E * R, in]
  const A* b = nullptr;        ///< transposed [E * R, out]
};

/// Adds to y [N, out]; narrow [M, R] keeps A x for backward.
template <class T>
void selected_forward(const SelectedInput<T>& input, nn::accumulate_t<T>* narrow, T* y);

/// Gradients by input, in its shape, all added to. Those but of the weights may be null, where
/// nobody wants them.
template <class T>
struct SelectedGradients {
  using A = nn::accumulate_t<T>;
  T* dx = nullptr;
  A *dweights = nullptr, *da = nullptr, *db = nullptr;
};

template <class T>
void selected_backward(const SelectedInput<T>& input,
                       const nn::accumulate_t<T>* narrow,
                       const T* dy,
                       const SelectedGradients<T>& gradients);

}  // namespace lmoe::mixture
