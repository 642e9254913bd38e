// Experts that are whole FFNs on plain pointers: all that lies between the frozen W1 x, W3 x and
// the frozen W2, forward and backward, in chunks of an expert's tokens that stay in the cache.
//
//   z_p   = W_p x + s B_p,e A_p,e x          p: gate, up; only for tokens that chose e
//   a     = act(z_gate) * z_up
//   mixed += w a                             what the frozen W2 reads
//   low   += w s B2_e A2_e drop(a)
//
// Kept for backward are A_p,e x and A2_e drop(a), of R numbers per pair and projection; z and a are
// made again.
//
// Legend: N tokens, M pairs of a token and an expert, H hidden, I inner size, E experts, R rank.
// T is float, c10::BFloat16 or double; A is what T is computed in, and the type of the factors.
#pragma once

#include <cstdint>
#include <vector>

#include "mixture/expert_pairs.h"
#include "mixture/expert_rows.h"
#include "nn/gated_activation.h"

namespace lmoe::mixture {

/// Pointers are null where gate and up, or down, have no adapters.
template <class T>
struct FfnInput {
  using A = nn::accumulate_t<T>;
  int64_t hidden = 0, inner = 0, rank = 0;
  nn::GatedActivation activation = nn::GatedActivation::kSilu;
  double scaling = 1.0;
  DropoutMask dropout;  ///< of what A2 reads
  const ExpertPairs* pairs = nullptr;
  const T* x = nullptr;          ///< [N, H] what the adapters of gate and up read
  const T* gate = nullptr;       ///< [N, I] W1 x
  const T* up = nullptr;         ///< [N, I] W3 x
  const A* weights = nullptr;    ///< [N, E]
  const A* a = nullptr;          ///< [P * E * R, H] of the targets among gate and up
  std::vector<int64_t> targets;  ///< 0 gate, 1 up; P of them
  std::vector<const A*> b;       ///< of each target its transpose [E * R, I]
  const A* down_a = nullptr;     ///< [E * R, I]
  const A* down_b = nullptr;     ///< transposed [E * R, H]
};

/// What backward needs; written by forward.
template <class A>
struct FfnKept {
  A* narrow = nullptr;       ///< [M, P * R] A x
  A* down_narrow = nullptr;  ///< [M, R] A2 drop(a)
};

/// mixed [N, I]; low [N, H], where down has adapters. Both are written whole.
template <class T>
void ffn_forward(const FfnInput<T>& input,
                 const FfnKept<nn::accumulate_t<T>>& kept,
                 T* mixed,
                 T* low);

/// Gradients by input, in its shape. Those of the factors are added to, the others written whole;
/// dx and those of the factors may be null, also in `db`, where nobody wants them.
template <class T>
struct FfnGradients {
  using A = nn::accumulate_t<T>;
  T *dx = nullptr, *dgate = nullptr, *dup = nullptr;
  A *dweights = nullptr, *da = nullptr, *ddown_a = nullptr, *ddown_b = nullptr;
  std::vector<A*> db;
};

template <class T>
void ffn_backward(const FfnInput<T>& input,
                  const FfnKept<nn::accumulate_t<T>>& kept,
                  const T* dmixed,
                  const T* dlow,
                  const FfnGradients<T>& gradients);

}  // namespace lmoe::mixture
