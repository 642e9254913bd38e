// What one adapted projection costs: trained parameters and multiply-adds per token, by kind of
// expert and gate.
#pragma once

#include <cstdint>

#include "spec/mixture_spec.h"

namespace lmoe::spec {

struct SiteCost {
  int64_t parameters = 0;
  /// Per token, with only the experts that take part computed.
  int64_t multiply_adds = 0;
};

/// The experts of a projection [out, in] that has `experts` of them.
SiteCost experts_cost(const MixtureSpec& spec, int64_t in, int64_t out, int64_t experts);

/// One gate of `experts` outputs that reads `width` numbers; nothing for a constant gate.
SiteCost gate_cost(const MixtureSpec& spec, int64_t width, int64_t experts);

/// What all gates of a mixture share, besides what each of them costs: a recurrent net's GRU.
SiteCost common_gate_cost(const MixtureSpec& spec);

/// What training changes of a bank of prompts in a model of `width`. It multiplies nothing per
/// token; each document is longer by its prompts.
SiteCost prompts_cost(const PromptsSpec& prompts, int64_t width);

}  // namespace lmoe::spec
