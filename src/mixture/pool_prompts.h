// One decision of a gate per document, from its prompt: `gate.pool: prompt`.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/forward_context.h"

namespace lmoe::mixture {

/// logits [N, G, E] -> [N, G, E], where all tokens of a document have the mean over its prompt; of
/// one whose prompt was cut off, over its first token. With a KV cache, what the prompt said is
/// kept for the tokens that follow; `gate` tells it apart from what others said. Without documents
/// each token stands alone. Throws kInvalidArgument where nobody knows the prompt, or with a cache
/// only a part of it is fed.
at::Tensor pool_over_prompts(const at::Tensor& logits,
                             const void* gate,
                             nn::ForwardContext& context);

}  // namespace lmoe::mixture
