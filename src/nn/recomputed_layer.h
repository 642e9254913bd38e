// Gradient checkpointing: a decoder layer that keeps only what enters it, and is computed again in
// the backward.
#pragma once

#include <ATen/core/Tensor.h>

#include "nn/decoder_layer.h"
#include "nn/forward_context.h"
#include "nn/rope.h"

namespace lmoe::nn {

/// The same as `layer.forward`, with the same gradients: of the hidden states, of everything in
/// `context.recompute_for`, and through what the layer adds to the router log and to the shared
/// gates, which it adds once. Random draws are repeated from the state the generator had. The layer
/// must outlive the backward.
at::Tensor forward_recomputed(const DecoderLayer& layer,
                              const at::Tensor& hidden,
                              const RopeTable& rope,
                              ForwardContext& context);

}  // namespace lmoe::nn
