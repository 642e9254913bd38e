#include "train/memory_forecast.h"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "nn/loss.h"
#include "nn/panel_product.h"
#include "recipe/decoder_shape.h"
#include "train/document_caches.h"

namespace lmoe::train {
namespace {

constexpr int64_t kFloat = 4;
/// Of documents in a file the tokens are in memory.
constexpr int64_t kTokenId = sizeof(int64_t);
/// The program with LibTorch mapped, its thread pools and the data of a run.
constexpr int64_t kRuntimeBytes = 100'000'000;
/// Activations of short life leave holes between those that are kept; measured at 256 to 2048
/// tokens per micro-batch.
constexpr double kHoles = 1.15;

/// What the adapters of all layers are and keep per token: in the type of the frozen model, and in
/// float32.
struct Adapters {
  int64_t parameters = 0;
  int64_t stacked = 0;     ///< of them those joined with gates for one product: a copy
  int64_t references = 0;  ///< floats in the memories of gates: keys, and an expert for each
  int64_t kept_per_token = 0;
  int64_t kept_floats_per_token = 0;
};

/// Rows of A of one projection.
int64_t down_size(const spec::ExpertsSpec& spec, int64_t experts) {
  const bool has_own_a =
      spec.kind == spec::ExpertKind::kLora || spec.kind == spec::ExpertKind::kRankOne;
  return has_own_a ? experts * spec.rank : spec.rank;
}

/// S'MoRE: what each level lifts, once for every path to it.
int64_t kept_by_levels(const spec::ExpertsSpec& spec) {
  const int64_t step = spec.count * spec.rank;
  int64_t kept = spec.levels * step, paths = 1;
  for (int64_t level = spec.levels - 1; level >= 0; --level) {
    paths *= spec.count;
    kept += paths * (level + 1) * step;
  }
  return kept;
}

/// Activations kept per token of one projection: A x, what is made of it for each expert where A is
/// shared, and the adapted outputs that DoRA scales.
int64_t kept_by_experts(const spec::ExpertsSpec& spec, int64_t out, int64_t experts) {
  const int64_t down = down_size(spec, experts);
  switch (spec.kind) {
    case spec::ExpertKind::kLora:
    case spec::ExpertKind::kRankOne:
      return down + (spec.use_dora ? (experts > 1 ? 2 : 1) * out : 0);
    case spec::ExpertKind::kSharedA:
      return down + experts * spec.rank;
    case spec::ExpertKind::kCore:
      return down + (experts + 1) * spec.rank;
    case spec::ExpertKind::kKronecker:
      return 2 * spec.rank *
             std::accumulate(spec.kernel_sizes.begin(), spec.kernel_sizes.end(), int64_t{0});
    case spec::ExpertKind::kResidual:
      return kept_by_levels(spec);
  }
  return down;
}

Adapters adapters_of(const spec::MixtureSpec& spec,
                     const spec::DecoderShape& shape,
                     int64_t dtype_bytes) {
  Adapters adapters;
  adapters.parameters = spec::mixture_cost(spec, shape).parameters;
  const bool is_block = spec.attach == spec::Attach::kFfnBlock;
  const bool reads_wide_input = spec.gate.source == spec::GateSource::kInput ||
                                spec.gate.source == spec::GateSource::kBlockInput;
  // Gates work in float32: they share the product of A where the model does too, and keep a wide
  // copy of their input where it does not.
  const bool is_wide = dtype_bytes == kFloat;
  std::pair<int, int> last_group = {-1, -1};
  for (const spec::AdaptedSite& site : spec::adapted_sites(spec, shape)) {
    // Whole FFNs compute only the experts of each token.
    const int64_t computed =
        is_block ? std::min(spec.active_experts(), site.experts) : site.experts;
    adapters.kept_per_token += kept_by_experts(spec.experts, site.projection.out, computed);
    if (spec.has_gate() && reads_wide_input && is_wide && !is_block)
      adapters.stacked += down_size(spec.experts, site.experts) * site.projection.in;
    if (spec.gate.share == spec::GateShare::kModel)
      adapters.kept_floats_per_token += 4 * site.experts;
    const bool decides =
        site.gate_width || (spec.gate.share == spec::GateShare::kModel && spec.gate.layerwise);
    if (decides && spec.gate.net == spec::GateNet::kRecurrent)  // input, products of three, state
      adapters.kept_floats_per_token += 8 * spec.gate.hidden_size;
    if (!site.gate_width) continue;
    const std::pair<int, int> group = {site.layer, site.projection.group};
    if (!is_wide && reads_wide_input && group != last_group)
      adapters.kept_floats_per_token += *site.gate_width;
    if (spec.gate.net == spec::GateNet::kNearest && group != last_group) {  // one for all of them
      adapters.references += spec.gate.references * (*site.gate_width + 1);
      adapters.kept_floats_per_token += spec.gate.references;
    }
    last_group = group;
    adapters.kept_floats_per_token +=
        4 * site.experts;  // logits, probabilities, weights, their log
  }
  if (spec.gate.share != spec::GateShare::kModel) return adapters;
  const bool asks = spec.gate.net == spec::GateNet::kNearest;
  // A block of a causal net: two norms, q, k, v, what attention and FFN make, two sums.
  const int64_t kept_of_width = spec.gate.net == spec::GateNet::kCausal ? 20 : 2;
  if (asks) adapters.references = spec.gate.references * (shape.hidden_size + 1);
  adapters.kept_floats_per_token +=
      shape.hidden_size +
      (asks ? spec.gate.references : kept_of_width * spec.gate.depth * spec.gate.hidden_size);
  return adapters;
}

/// Of the experts and of the plain LoRAs beside them.
Adapters all_adapters_of(const spec::MixtureSpec& spec,
                         const spec::DecoderShape& shape,
                         int64_t dtype_bytes) {
  Adapters all = adapters_of(spec, shape, dtype_bytes);
  if (!spec.has_plain()) return all;
  const Adapters plain = adapters_of(spec.plain_part(), shape, dtype_bytes);
  all.kept_per_token += plain.kept_per_token;
  return all;
}

/// Whether the gradient of some A, or of a gate beside it, asks for what the projections read.
bool inputs_are_kept(const spec::MixtureSpec& spec) {
  const bool gate_reads_them = spec.gate.source == spec::GateSource::kInput ||
                               spec.gate.source == spec::GateSource::kBlockInput;
  return !spec.schedule.never_trains_experts() || spec.experts.kind != spec::ExpertKind::kLora ||
         spec.experts.use_dora || spec.attach == spec::Attach::kFfnBlock || spec.has_plain() ||
         (spec.has_gate() && gate_reads_them);
}

/// Elements per token that a layer keeps for backward: outputs of two norms, and their inputs in
/// bfloat16 (nn/rms_norm.h); q, k, v and the output of attention; gate, up and their product.
int64_t kept_per_token(const spec::MixtureSpec& spec,
                       const spec::DecoderShape& s,
                       int64_t dtype_bytes) {
  const bool with_inputs = inputs_are_kept(spec);
  const int64_t norms = (with_inputs && dtype_bytes < kFloat ? 2 : 1) * 2 * s.hidden_size;
  const int64_t attention = 2 * s.query_size + 2 * s.key_size;
  // Experts that are whole FFNs share gate and up, and make their products again.
  const bool is_block = spec.attach == spec::Attach::kFfnBlock;
  const int64_t mlp = (is_block || !with_inputs ? 2 : 3) * s.intermediate_size;
  return norms + attention + mlp;
}

/// Frozen weights as they are kept, and the matrix of a layer or the panel of the head that is
/// expanded for a product.
int64_t base_bytes(const arch::WeightInventory& weights,
                   const arch::ModelConfig& config,
                   arch::FrozenWeights frozen,
                   int64_t dtype_bytes) {
  const int64_t kept = weights.bytes(frozen, dtype_bytes);
  if (kept == weights.bytes(arch::FrozenWeights::kDense, dtype_bytes)) return kept;
  const int64_t panel =
      nn::panel_rows(config.vocab_size, config.hidden_size) * config.hidden_size;
  return kept + std::max(panel, weights.largest_projection) * dtype_bytes;
}

/// Dropout keeps a masked copy of the input of each group of projections.
int64_t kept_by_dropout(const spec::MixtureSpec& spec, const spec::DecoderShape& s) {
  const int64_t inner = spec.attach == spec::Attach::kFfnBlock ? 0 : s.intermediate_size;
  return spec.experts.dropout > 0.0 ? 2 * s.hidden_size + s.query_size + inner : 0;
}

/// Bytes per token. Layers below all adapters keep nothing; with gradient checkpointing the others
/// keep their input and what the router log holds, and one of them at a time all else.
int64_t kept_for_backward(const recipe::Recipe& recipe,
                          const spec::DecoderShape& shape,
                          const Adapters& adapters,
                          int64_t dtype_bytes) {
  const int64_t layers =
      std::max(1, shape.layers - spec::lowest_adapted_layer(recipe.mixture, shape));
  const int64_t by_layers = layers * (kept_per_token(recipe.mixture, shape, dtype_bytes) +
                                      kept_by_dropout(recipe.mixture, shape)) +
                            adapters.kept_per_token;
  const int64_t floats = adapters.kept_floats_per_token * kFloat;
  if (!recipe.batch.gradient_checkpointing) return by_layers * dtype_bytes + floats;
  return (layers * shape.hidden_size + by_layers / layers) * dtype_bytes + floats + floats / layers;
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
  const Adapters adapters = all_adapters_of(recipe.mixture, shape, dtype_bytes);
  const int64_t tokens = recipe.batch.micro_batch_size * recipe.data.sequence_len;
  MemoryForecast forecast;
  forecast.trained_parameters =
      spec::trained_parameters(recipe.mixture, shape) + head_parameters(recipe, shape.hidden_size);
  forecast.base_bytes = base_bytes(weights ? *weights : arch::inventory(config), config,
                                   recipe.batch.frozen_weights, dtype_bytes);
  forecast.adapter_bytes = (adapters.parameters + forecast.trained_parameters) * kFloat +
                           adapters.stacked * dtype_bytes + adapters.references * kFloat +
                           (dtype_bytes < kFloat ? adapters.parameters * dtype_bytes : 0);
  forecast.optimizer_bytes =
      remembered_per_parameter(recipe.optimizer) * forecast.trained_parameters * kFloat;
  const int64_t kept = kept_for_backward(recipe, shape, adapters, dtype_bytes);
  // Passes of a reward model are joined before their backward, so each keeps its own; through
  // frozen experts there is none.
  const int64_t passes =
      recipe.mixture.schedule.freeze_experts ? 1 : recipe.objective.reward_passes;
  forecast.activation_bytes =
      static_cast<int64_t>(kHoles * static_cast<double>(passes * tokens * kept));
  const int64_t logits = std::min(tokens, nn::kLossRows) *
                         nn::panel_rows(config.vocab_size, config.hidden_size);
  forecast.loss_bytes = logits * dtype_bytes +
                        4 * tokens * (shape.hidden_size + shape.intermediate_size) * dtype_bytes;
  const CacheLimits caches = cache_limits(recipe, config);
  forecast.cache_bytes = caches.first_pass + caches.frozen_prefix +
                         caches.file / (shape.hidden_size * dtype_bytes) * kTokenId;
  forecast.runtime_bytes = kRuntimeBytes;
  return forecast;
}

}  // namespace lmoe::train
