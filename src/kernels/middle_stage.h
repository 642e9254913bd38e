// Between the two products of a mixture of low-rank experts: the small matrix M(x) of every token,
// v = M(x) u, and its gradients.
//
// Legend: N tokens, P projections, E experts, R rank. u, v and their gradients are [N, P, E, R],
// weights w and their gradients [N, G, E].
//
//   deltas    v_i = w_i u_i                du_i = w_i dv_i
//                                          dw_i = <dv_i, u_i>
//   factors   v_i = w_i m                  du_i = w_i q
//             m = sum_j w_j u_j            dw_i = <dv_i, m> + <q, u_i>,  q = sum_j w_j dv_j
#pragma once

#include <cstdint>

#include "kernels/stored_types.h"

namespace lmoe::kernels {

enum class MiddleForm { kDeltas, kFactors };

struct MiddleSizes {
  int64_t tokens, projections, experts, rank;
  int64_t gates;     ///< G: P, or 1 where all projections share their weights
  int64_t u_stride;  ///< from a token's u to the next one's; all else lies side by side

  int64_t block() const { return experts * rank; }
  int64_t width() const { return projections * block(); }
  int64_t gate(int64_t token, int64_t projection) const {
    return experts * (gates == 1 ? token : token * gates + projection);
  }
};

template <class T>
void middle_stage_rows(
    MiddleForm form, MiddleSizes sizes, const T* u, const accumulate_t<T>* weights, T* v);

/// Writes du and adds to dweights.
template <class T>
void middle_stage_backward_rows(MiddleForm form,
                                MiddleSizes sizes,
                                const T* u,
                                const accumulate_t<T>* weights,
                                const T* dv,
                                T* du,
                                accumulate_t<T>* dweights);

}  // namespace lmoe::kernels
