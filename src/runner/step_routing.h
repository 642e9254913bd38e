// What the router log of one forward says about the inputs of a step.
#pragma once

#include <vector>

#include "decode/step_model.h"
#include "nn/forward_context.h"
#include "runner/plan_forwards.h"

namespace lmoe::runner {

/// Appends the weights of each token of `pieces`, in the order of `router`, to
/// output.routing[piece.input].
void copy_routing(const nn::RouterLog& log,
                  const decode::RouterInfo& router,
                  const std::vector<Piece>& pieces,
                  decode::StepOutput& output);

/// What the sequences that begin with `pieces` found in the bank of prompts, to
/// output.prompts[piece.input]; `segments` are theirs, one for each.
void copy_prompts(const nn::RouterLog& log,
                  const std::vector<Piece>& pieces,
                  const std::vector<nn::Segment>& segments,
                  decode::StepOutput& output);

}  // namespace lmoe::runner
