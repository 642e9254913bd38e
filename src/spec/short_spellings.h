// The short keys people know from other tools, rewritten to the fields of the grammar.
//
//   num_experts, num_local_experts, lora_num_experts                     experts.count
//   top_k, num_experts_per_tok, lora_router_top_k                        select.k, and select.kind
//   router_aux_loss_coef, lora_router_aux_loss_coef                      losses.0.coef
//   temperature, softmax_temperature, lora_router_temperature            gate.temperature
//   router_init_range                                                    gate.init_range
//   router_loss: false                                                   losses: []
//   routing_strategy                                                     method
#pragma once

#include <string>
#include <vector>

#include "base/options.h"
#include "spec/mixture_spec.h"

namespace lmoe::spec {

/// Every short key, for messages.
std::vector<std::string> short_spellings();

/// `routing_strategy` becomes `method`; done first, because the method names the preset.
void rewrite_method_key(ConfigNode& section, ReadReport& report);

/// Moves the other short keys of a `mixture:` section to their fields, noting each. Where the
/// section says nothing, `preset` is what is changed: top_k also turns `softmax` into
/// `renormalize`. Throws kInvalidArgument when a field is given twice with different values.
void rewrite_short_spellings(ConfigNode& section, const MixtureSpec& preset, ReadReport& report);

}  // namespace lmoe::spec
