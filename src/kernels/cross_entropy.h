// -log softmax(logits)[label] of one row.
#pragma once

#include <cstdint>

namespace lmoe::kernels {

/// The loss of a row of `count` raw logits, soft-capped first where cap > 0. With `want_gradient`
/// the logits become the gradient with respect to them. T is float, BFloat16 or double.
template <class T>
double cross_entropy_row(T* logits, int64_t count, int64_t label, double cap, bool want_gradient);

}  // namespace lmoe::kernels
