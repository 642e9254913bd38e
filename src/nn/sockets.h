// Everything a mixture can plug into, in order of computation.
#pragma once

#include <vector>

#include "nn/document_prompts.h"
#include "nn/first_pass.h"
#include "nn/gated_mlp.h"
#include "nn/projection.h"

namespace lmoe::nn {

struct Sockets {
  /// Of projections alone; converts, because most mixtures need no more.
  Sockets(std::vector<ProjectionGroup*> projection_groups)  // NOLINT(google-explicit-constructor)
      : groups(std::move(projection_groups)) {}
  Sockets(std::vector<ProjectionGroup*> projection_groups, std::vector<GatedMlp*> mlp_blocks)
      : groups(std::move(projection_groups)), mlps(std::move(mlp_blocks)) {}

  std::vector<ProjectionGroup*> groups;  ///< per layer q,k,v | o | gate,up | down
  std::vector<GatedMlp*> mlps;           ///< one per layer, or none when nothing may replace them
  /// Of the whole decoder; null where whoever runs the forward brings the last hidden states.
  FirstPassSocket* first_pass = nullptr;
  PromptSocket* prompts = nullptr;  ///< in front of documents; null where there is no such place
};

}  // namespace lmoe::nn
