#include "train/memory_forecast.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "nn/loss.h"
#include "nn/panel_product.h"
#include "recipe/decoder_shape.h"
#include "train/document_caches.h"
#include "train/kept_by_adapters.h"
#include "train/kept_for_backward.h"

namespace lmoe::train {
namespace {

constexpr int64_t kFloat = 4;
/// Of documents in a file the tokens are in memory.
constexpr int64_t kTokenId = sizeof(int64_t);
/// The program with LibTorch mapped, its thread pools and the data of a run.
constexpr int64_t kRuntimeBytes = 190'000'000;

/// Rows of A of one projection.
int64_t rows_of_a(const spec::ExpertsSpec& spec, int64_t experts) {
  switch (spec.kind) {
    case spec::ExpertKind::kLora:
    case spec::ExpertKind::kRankOne:
      return experts * spec.rank;
    case spec::ExpertKind::kResidual:
      return spec.levels * experts * spec.rank;
    case spec::ExpertKind::kKronecker:
      return 0;
    default:
      return spec.rank;
  }
}

/// Copies of parameters that a forward makes: A's joined with the rows of a gate that reads the
/// same, for one product, and DoRA's B's by their magnitudes.
int64_t copied_parameters(const spec::MixtureSpec& spec,
                          const spec::DecoderShape& shape,
                          int64_t dtype_bytes) {
  // Gates work in float32: they share the product of A where the model does too.
  const bool joins = dtype_bytes == kFloat && spec.attach == spec::Attach::kProjection &&
                     spec.gate.net == spec::GateNet::kLinear &&
                     (spec.gate.source == spec::GateSource::kInput ||
                      spec.gate.source == spec::GateSource::kBlockInput);
  int64_t copied = 0;
  for (const AdaptedGroup& group : adapted_groups(spec, shape)) {
    const int64_t rows = std::ssize(group.sites) * rows_of_a(spec.experts, group.experts());
    if (joins && group.gates() > 0) copied += (rows + group.gates() * group.experts()) * group.in;
    if (spec.experts.use_dora) copied += group.experts() * spec.experts.rank * group.out();
  }
  return copied;
}

/// Numbers in the memories of gates: keys, and an expert for each. Projections that share their
/// input have one for all of them, and so has a model.
int64_t stored_references(const spec::MixtureSpec& spec, const spec::DecoderShape& shape) {
  if (spec.gate.net != spec::GateNet::kNearest) return 0;
  if (spec.gate.share == spec::GateShare::kModel)
    return spec.gate.references * (shape.hidden_size + 1);
  int64_t stored = 0;
  for (const AdaptedGroup& group : adapted_groups(spec, shape))
    if (group.gates() > 0) stored += spec.gate.references * (*group.sites.front().gate_width + 1);
  return stored;
}

/// Experts, gates and plain LoRAs, their gradients and their copies.
int64_t adapter_bytes(const recipe::Recipe& recipe,
                      const spec::DecoderShape& shape,
                      int64_t trained,
                      int64_t dtype_bytes) {
  const spec::MixtureSpec& spec = recipe.mixture;
  const int64_t parameters = spec::mixture_cost(spec, shape).parameters;
  const int64_t narrow = dtype_bytes < kFloat ? parameters : 0;
  return (parameters + trained + stored_references(spec, shape)) * kFloat +
         (copied_parameters(spec, shape, dtype_bytes) + narrow) * dtype_bytes;
}

/// Frozen weights as they are kept, and the matrix of a layer or the panel of the head that is
/// expanded for a product.
int64_t base_bytes(const arch::WeightInventory& weights,
                   const arch::ModelConfig& config,
                   arch::FrozenWeights frozen,
                   int64_t dtype_bytes) {
  const int64_t kept = weights.bytes(frozen, dtype_bytes);
  if (kept == weights.bytes(arch::FrozenWeights::kDense, dtype_bytes)) return kept;
  const int64_t panel = nn::panel_rows(config.vocab_size, config.hidden_size) * config.hidden_size;
  return kept + std::max(panel, weights.largest_projection) * dtype_bytes;
}

/// Bytes per token. With gradient checkpointing layers keep their input and what the router log
/// holds, and one of them at a time all else.
int64_t kept_bytes_per_token(const recipe::Recipe& recipe,
                             const arch::ModelConfig& config,
                             int64_t dtype_bytes) {
  const int64_t tokens = recipe.batch.micro_batch_size * recipe.data.sequence_len;
  const TokenNumbers kept = kept_for_backward(recipe.mixture, config, {tokens, dtype_bytes});
  if (!recipe.batch.gradient_checkpointing) return kept.bytes(dtype_bytes);
  const int64_t layers = layers_with_backward(recipe.mixture, config);
  const TokenNumbers left = {layers * config.hidden_size + kept.elements / layers,
                             kept.floats + kept.floats / layers};
  return left.bytes(dtype_bytes);
}

/// What lives for a short time when all is kept: the loss has the hidden states of labelled rows,
/// their gradient, its sum, the rows of the labels and a panel of logits; the backward of the last
/// layer then two or, of whole FFNs, three rows as wide as the MLP, and three of its input.
int64_t short_lived_bytes(const recipe::Recipe& recipe,
                          const arch::ModelConfig& config,
                          int64_t dtype_bytes) {
  const int64_t tokens = recipe.batch.micro_batch_size * recipe.data.sequence_len;
  const int64_t logits =
      std::min(tokens, nn::kLossRows) * nn::panel_rows(config.vocab_size, config.hidden_size);
  const int64_t sums = tokens * config.hidden_size * (kFloat - dtype_bytes);  // in float32
  const int64_t loss = (5 * tokens * config.hidden_size + logits) * dtype_bytes + sums;
  const int64_t inner = recipe.mixture.attach == spec::Attach::kFfnBlock ? 3 : 2;
  const int64_t backward =
      tokens * (inner * config.intermediate_size + 3 * config.hidden_size) * dtype_bytes;
  return std::max(loss, backward);
}

/// Of a reward model's heads (nn/reward_head.h).
int64_t head_parameters(const recipe::Recipe& recipe, int64_t width) {
  if (recipe.objective.kind != recipe::Objective::kPreference) return 0;
  const int64_t passes = recipe.objective.reward_passes;
  const int64_t aggregator = passes > 1 ? (passes * width + 1) * width + 1 : 0;
  return recipe::reward_heads(recipe) * (aggregator + width);
}

/// Numbers that the optimizer keeps.
int64_t remembered_per_parameter(const recipe::OptimizerOptions& options) {
  if (options.optimizer == recipe::Optimizer::kAdamW) return 2;
  return options.sgd_momentum.value_or(0.0) > 0.0 ? 1 : 0;
}

}  // namespace

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", static_cast<double>(bytes) / 1e9);
  return text;
}

int64_t MemoryForecast::total() const {
  return base_bytes + adapter_bytes + optimizer_bytes + activation_bytes + loss_bytes +
         cache_bytes + runtime_bytes;
}

std::string MemoryForecast::text() const {
  return gigabytes(total()) + " GB (base " + gigabytes(base_bytes) + ", adapters " +
         gigabytes(adapter_bytes) + ", optimizer " + gigabytes(optimizer_bytes) + ", activations " +
         gigabytes(activation_bytes) + ", loss " + gigabytes(loss_bytes) +
         (cache_bytes > 0 ? ", kept documents " + gigabytes(cache_bytes) : "") + ", program " +
         gigabytes(runtime_bytes) + ")";
}

MemoryForecast forecast_memory(const recipe::Recipe& recipe,
                               const arch::ModelConfig& config,
                               int64_t dtype_bytes,
                               const std::optional<arch::WeightInventory>& weights) {
  const spec::DecoderShape shape = recipe::decoder_shape(config);
  const int64_t tokens = recipe.batch.micro_batch_size * recipe.data.sequence_len;
  MemoryForecast forecast;
  forecast.trained_parameters =
      spec::trained_parameters(recipe.mixture, shape) + head_parameters(recipe, shape.hidden_size);
  forecast.base_bytes = base_bytes(weights ? *weights : arch::inventory(config), config,
                                   recipe.batch.frozen_weights, dtype_bytes);
  forecast.adapter_bytes = adapter_bytes(recipe, shape, forecast.trained_parameters, dtype_bytes);
  forecast.optimizer_bytes =
      remembered_per_parameter(recipe.optimizer) * forecast.trained_parameters * kFloat;
  const int64_t kept = kept_bytes_per_token(recipe, config, dtype_bytes);
  // Passes of a reward model are joined before their backward, so each keeps its own; through
  // frozen experts there is none.
  const int64_t passes =
      recipe.mixture.schedule.freeze_experts ? 1 : recipe.objective.reward_passes;
  forecast.activation_bytes = passes * tokens * kept;
  forecast.loss_bytes = short_lived_bytes(recipe, config, dtype_bytes);
  const CacheLimits caches = cache_limits(recipe, config);
  forecast.cache_bytes = caches.first_pass + caches.frozen_prefix +
                         caches.file / (shape.hidden_size * dtype_bytes) * kTokenId;
  forecast.runtime_bytes = kRuntimeBytes;
  return forecast;
}

}  // namespace lmoe::train
