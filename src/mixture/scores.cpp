#include "mixture/scores.h"

#include <ATen/ATen.h>

namespace lmoe::mixture {

Scores make_scores(const at::Tensor& logits,
                   const at::Tensor& bias,
                   spec::BiasUse use,
                   spec::Normalize normalize) {
  Scores scores;
  scores.logits = logits;
  if (has_sigmoid_scores(normalize)) {
    const at::Tensor sigmoids = at::sigmoid(logits);
    scores.values = use == spec::BiasUse::kScore ? sigmoids + bias : sigmoids;
    scores.probabilities = sigmoids / sigmoids.sum(/*dim=*/-1, /*keepdim=*/true);
    scores.ranking = scores.values.detach();
  } else {
    scores.values = scores.probabilities = at::softmax(logits, /*dim=*/-1);
    scores.ranking = logits.detach();
  }
  if (use == spec::BiasUse::kSelection) scores.ranking = scores.ranking + bias;
  return scores;
}

}  // namespace lmoe::mixture
