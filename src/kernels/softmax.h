// Softmax over rows of scores: what attention and the loss are made of.
//
// A is float or double; T is float, BFloat16 or double.
#pragma once

#include <cstdint>

#include "kernels/stored_types.h"

namespace lmoe::kernels {

/// scores[begin, end) become exp(s - log-sum-exp), the rest of [0, count) becomes 0; returns the
/// log-sum-exp. Scores of -inf become 0; where all are, everything is NaN.
template <class A>
A softmax_row(A* scores, int64_t begin, int64_t end, int64_t count);

/// The same with a known log-sum-exp.
template <class T>
void softmax_row_again(
    T* scores, int64_t begin, int64_t end, int64_t count, accumulate_t<T> log_sum_exp);

/// d(scores) of a softmax row: dp becomes p * (dp - dot), with dot = sum(p * dp).
template <class A>
void softmax_backward_row(const A* p, A* dp, int64_t count, A dot);

/// values become cap * tanh(values / cap).
template <class T>
void softcap_row(T* values, int64_t count, accumulate_t<T> cap);

/// dvalues *= 1 - (capped / cap)^2, the slope of soft-capping seen from its result.
template <class A>
void softcap_backward_row(const A* capped, A* dvalues, int64_t count, A cap);

template <class T>
accumulate_t<T> log_sum_exp_row(const T* values, int64_t count);

}  // namespace lmoe::kernels
