// The path from logits to weights of a method, without tensors of a model around it.
#pragma once

#include "mixture/normalize.h"
#include "mixture/scores.h"
#include "mixture/select.h"
#include "sections.h"

namespace lmoe::test {

struct Routing {
  mixture::Scores scores;
  at::Tensor selected, weights;
};

/// Of `logits` [N, E], the temperature applied, without biases.
inline Routing route(const spec::MixtureSpec& spec, const at::Tensor& logits) {
  Routing routing;
  routing.scores = mixture::make_scores(logits, {}, spec::BiasUse::kNone, spec.normalize);
  routing.selected = mixture::select_experts(routing.scores, spec.select);
  routing.weights = mixture::routing_weights(routing.scores, routing.selected, spec.normalize);
  return routing;
}

}  // namespace lmoe::test
