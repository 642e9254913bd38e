// One configurable frozen decoder for Llama 2/3, SmolLM2, Mistral, Qwen2/2.5, Qwen3 and Gemma 2.
//
//   auto decoder = models::Decoder::load(*arch::open_base_model("smollm2-135m"), {});
//   at::Tensor hidden = decoder->forward(ids, context);        // [N, H]
//   at::Tensor logits = decoder->logits(hidden);               // [N, V]
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "arch/base_model.h"
#include "arch/frozen_weights.h"
#include "nn/frozen_matrix.h"
#include "nn/sockets.h"

namespace lmoe::models {

struct DecoderOptions {
  at::ScalarType dtype =
      at::kFloat;  ///< of frozen weights and activations; norms and softmax compute in float32
  /// Told after each tensor how many bytes of how many are in memory, all counted in `dtype`.
  std::function<void(int64_t done, int64_t total)> on_read = {};
  /// How matrices are kept; those that would not be smaller than in `dtype` are dense.
  arch::FrozenWeights frozen_weights = arch::FrozenWeights::kDense;
  /// Where all weights are and everything is computed. Anywhere but on the CPU matrices must be
  /// dense and forwards have no KV cache (kUnsupported).
  at::Device device = at::kCPU;
};

struct DecoderWeights;

class Decoder {
 public:
  /// Reads every tensor of `base`. Throws kCorruptData naming tensors that are missing, misshapen
  /// or left over.
  static std::unique_ptr<Decoder> load(arch::BaseModel& base, const DecoderOptions& options);
  /// From tensors already in memory, all of one type and on one device (models/decoder_weights.h).
  static std::unique_ptr<Decoder> build(arch::ModelConfig config, DecoderWeights weights);
  ~Decoder();

  const arch::ModelConfig& config() const;
  at::ScalarType dtype() const;
  at::Device device() const;

  /// ids [N] int64, on any device, packed as `context.segments` says -> hidden states after the
  /// final norm [N, H]. Fills `context.positions` when undefined. With a KV cache, makes room in
  /// it, and afterwards the tokens belong to their slots. Runs twice while a mixture holds the
  /// socket of the first pass, and fills `context.last_hidden`; fills `context.embedded`. Throws
  /// kInvalidArgument for ids outside the vocabulary, segments that do not cover the ids in order,
  /// or a past that is not the slot's length.
  at::Tensor forward(const at::Tensor& ids, nn::ForwardContext& context) const;
  /// How many a mixture puts in front of each document that begins in a forward.
  int64_t prompt_positions() const;
  /// ids [N] int64 -> [N, H], what they enter the first layer as.
  at::Tensor embed(const at::Tensor& ids) const;
  /// [M, H] -> [M, V] in float32 (double for a double model), soft-capped where the family does.
  /// Has a gradient only where the head is dense.
  at::Tensor logits(const at::Tensor& hidden) const;
  /// [V, H]; the embedding when tied.
  const nn::FrozenMatrix& lm_head() const;

  /// Everything a mixture can plug into.
  const nn::Sockets& sockets() const;
  /// Its projections, in order of computation: per layer q,k,v | o | gate,up | down.
  const std::vector<nn::ProjectionGroup*>& projection_groups() const { return sockets().groups; }

  int64_t parameter_count() const;  ///< tied tensors once
  int64_t weight_bytes() const;     ///< in memory

 private:
  struct Parts;
  explicit Decoder(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace lmoe::models
