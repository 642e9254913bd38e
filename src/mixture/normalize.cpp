#include "mixture/normalize.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"

namespace lmoe::mixture {
namespace {

at::Tensor softmax_selected(const at::Tensor& logits, const at::Tensor& selected) {
  const double never = -std::numeric_limits<double>::infinity();
  return at::softmax(logits.masked_fill(selected.logical_not(), never), /*dim=*/-1);
}

/// Softmax over probabilities of those who are there; disabled ones are not.
at::Tensor softmax_of_selected(const Scores& scores, const at::Tensor& selected) {
  at::Tensor out = at::isneginf(scores.logits);
  if (selected.defined()) out = out.logical_or(selected.logical_not());
  const double never = -std::numeric_limits<double>::infinity();
  return at::softmax(scores.values.masked_fill(out, never), /*dim=*/-1);
}

/// The logits of the selected; 0 for a disabled expert, whose logit is minus infinity.
at::Tensor selected_logits(const Scores& scores, const at::Tensor& selected) {
  const at::Tensor logits = scores.logits.masked_fill(at::isneginf(scores.logits), 0.0);
  return selected.defined() ? logits * selected : logits;
}

/// Within (0.8, 1.2); 0 for an expert that takes no part, whose logit is minus infinity.
at::Tensor bounded(const Scores& scores, const at::Tensor& selected) {
  const at::Tensor out = at::isneginf(scores.logits);
  const at::Tensor weights =
      (1.0 + 0.2 * at::tanh(scores.logits.masked_fill(out, 0.0))).masked_fill(out, 0.0);
  return selected.defined() ? weights * selected : weights;
}

at::Tensor sum_to_count(const at::Tensor& values, const at::Tensor& selected) {
  const at::Tensor kept = values * selected;
  LMOE_CHECK_ARG(kept.detach().min().item<double>() >= 0.0,
                 "[route] a selected score plus its bias is negative: its weight would turn the "
                 "expert round; hint: a smaller mixture.bias.rate");
  const at::Tensor count = selected.sum(/*dim=*/-1, /*keepdim=*/true).to(kept.scalar_type());
  return count * kept / kept.sum(/*dim=*/-1, /*keepdim=*/true);
}

}  // namespace

at::Tensor routing_weights(const Scores& scores,
                           const at::Tensor& selected,
                           spec::Normalize normalize) {
  const at::Tensor& values = scores.values;
  switch (normalize) {
    case spec::Normalize::kConstant:
      return (selected.defined() ? selected : at::ones_like(values)).to(values.scalar_type());
    case spec::Normalize::kSumToK:
      return sum_to_count(values, selected.defined() ? selected : at::ones_like(values, at::kBool));
    case spec::Normalize::kSoftmax:
    case spec::Normalize::kSigmoid:
      return selected.defined() ? values * selected : values;
    case spec::Normalize::kSoftmaxTwice:
      return softmax_of_selected(scores, selected);
    case spec::Normalize::kLogits:
      return selected_logits(scores, selected);
    case spec::Normalize::kBounded:
      return bounded(scores, selected);
    case spec::Normalize::kSoftmaxSelected:
      return selected.defined() ? softmax_selected(scores.logits, selected) : values;
    case spec::Normalize::kRenormalize: {
      if (!selected.defined()) return values;
      const at::Tensor kept = values * selected;
      return kept / kept.sum(/*dim=*/-1, /*keepdim=*/true);
    }
  }
  return {};
}

}  // namespace lmoe::mixture
