// -log softmax(logits)[label] of one row, whose logits come in panels.
#pragma once

#include <cstdint>
#include <limits>

namespace lmoe::kernels {

/// A row after some of its panels. The softmax is kept running (Milakov and Gimelshein, 2018), so
/// that all logits of a row never exist at once.
struct RunningCrossEntropy {
  double largest = -std::numeric_limits<double>::infinity();
  double sum = 0;       ///< of exp(logit - largest)
  double at_label = 0;  ///< the label's logit, soft-capped

  double loss() const;
  /// Of the loss with respect to the label's raw logit; `cap` as in `cross_entropy_panel`.
  double gradient_at_label(double cap) const;
};

/// Takes the next `count` raw logits of a row, soft-capped first where cap > 0; `label` is counted
/// from the panel's first and may lie outside of it.
///
/// With `want_gradient` they become exp(logit - row.largest), times the slope of soft-capping, and
/// 0 at the label: their gradient times row.sum, until a panel with a larger logit comes. Returns
/// what then corrects everything of earlier panels, exp(largest before - row.largest).
/// T is float, BFloat16 or double.
template <class T>
double cross_entropy_panel(T* logits,
                           int64_t count,
                           int64_t label,
                           double cap,
                           bool want_gradient,
                           RunningCrossEntropy& row);

}  // namespace lmoe::kernels
