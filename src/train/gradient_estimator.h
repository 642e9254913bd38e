// From forwards of a micro-batch to gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "mixture/mixture.h"
#include "nn/forward_context.h"

namespace lmoe::train {

class GradientEstimator {
 public:
  virtual ~GradientEstimator() = default;
  /// How often each micro-batch goes through the model.
  virtual int64_t forwards() const = 0;
  /// After each of these forwards. Adds to the gradients of what the losses reach: the mean over
  /// the forwards of `loss`, and `balance` (undefined when there is none), which comes divided by
  /// their number.
  virtual void add(const at::Tensor& loss, const at::Tensor& balance, const nn::RouterLog& log) = 0;
  /// After the last of them.
  virtual void finish() = 0;
};

/// For experts drawn at random: r forwards, and for `gates`, which no gradient of the loss reaches,
///
///   1 / (r - 1) * sum_m (loss_m - mean loss) * gradient of log probability of draw m
///
/// the leave-one-out estimator, unbiased for the expected loss.
std::unique_ptr<GradientEstimator> make_leave_one_out(int64_t forwards,
                                                      std::vector<at::Tensor> gates);

/// Plain backpropagation of one forward, or leave-one-out with `select.kind: sample`.
std::unique_ptr<GradientEstimator> make_gradient_estimator(const mixture::Mixture& mixture);

}  // namespace lmoe::train
