// How many tokens of a sequence one expert takes: `select.capacity`.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"

namespace lmoe::mixture {

/// selected bool [N, E] -> bool [N, E]: the choices that come too late, counted per document and
/// expert in the order of the tokens, rejected ones included. With a KV cache the count goes on
/// from the tokens already there, which `gate` tells apart from those of other gates.
at::Tensor over_capacity(const at::Tensor& selected,
                         int64_t capacity,
                         const void* gate,
                         nn::ForwardContext& context);

}  // namespace lmoe::mixture
