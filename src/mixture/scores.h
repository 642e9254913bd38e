// What a gate thinks of each expert, before selection.
#pragma once

#include <ATen/core/Tensor.h>

#include "spec/mixture_spec.h"

namespace lmoe::mixture {

/// All [..., E] of one type.
struct Scores {
  at::Tensor logits;         ///< temperature applied
  at::Tensor values;         ///< what weights are made of: softmax, or sigmoid (+ bias)
  at::Tensor probabilities;  ///< sum to 1: `values`, or sigmoids divided by their sum
  at::Tensor ranking;        ///< what selection goes by; no gradient flows through it
};

/// True when `normalize` works on sigmoids of the logits instead of their softmax.
inline bool has_sigmoid_scores(spec::Normalize normalize) {
  return normalize == spec::Normalize::kSigmoid || normalize == spec::Normalize::kSumToK;
}

/// `bias` [G, E] or undefined; it enters by `use`.
Scores make_scores(const at::Tensor& logits,
                   const at::Tensor& bias,
                   spec::BiasUse use,
                   spec::Normalize normalize);

}  // namespace lmoe::mixture
