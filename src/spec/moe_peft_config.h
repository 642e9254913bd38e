// adapter_config.json of MoE-PEFT, the package of MixLoRA's authors, as a mixture and back.
//
//   routing_strategy   experts on            gates               projections of attention
//   mixlora[-…]        whole FFNs            one per FFN         plain LoRA
//   loramoe            FFN projections       one per projection  plain LoRA
//   mola               all targets           one per projection  experts
#pragma once

#include <string>

#include "base/json.h"
#include "spec/mixture_spec.h"

namespace lmoe::spec {

/// True when the file's peft_type is one of MoE-PEFT's mixtures.
bool is_moe_peft_config(const Json& config);

/// Keys the package does not write (router_aux_loss_coef, …) have its defaults. `where` opens
/// messages. Throws kCorruptData (impossible values), kUnsupported for keys that are unknown or
/// switch on what a mixture cannot do, by name.
MixtureSpec mixture_from_moe_peft(const Json& config, const std::string& where);

/// Throws kUnsupported naming the part of the mixture that the format cannot hold.
Json moe_peft_from_mixture(const MixtureSpec& spec);

/// What the file's tensor names begin with: "mixlora", "loramoe" or "mola".
std::string moe_peft_prefix(const Json& config);

}  // namespace lmoe::spec
