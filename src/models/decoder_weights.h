// The tensors of a frozen decoder, by the part they play.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "arch/base_model.h"
#include "models/decoder.h"
#include "nn/decoder_layer.h"
#include "nn/projection.h"

namespace lmoe::models {

struct LayerWeights {
  nn::LayerNorms norms;
  std::vector<nn::FrozenLinear> qkv, o, gate_up, down;
};

struct DecoderWeights {
  nn::FrozenMatrix embedding;  ///< [V, H]
  at::Tensor final_norm;       ///< [H], in the type norms compute in
  nn::FrozenMatrix lm_head;    ///< [V, H]; the embedding itself when tied
  std::vector<LayerWeights> layers;
};

struct WeightSize {
  int64_t elements = 0, bytes = 0;  ///< tied tensors once
};
WeightSize size_of(const DecoderWeights& weights);

/// Reads and converts every tensor. Throws kCorruptData (missing, misshapen, left over).
DecoderWeights read_decoder_weights(arch::BaseModel& base, const DecoderOptions& options);

}  // namespace lmoe::models
