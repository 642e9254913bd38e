#include "train/memory_forecast.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "spec/site_cost.h"

namespace lmoe::train {
namespace {

constexpr double kGigabyte = 1e9;
constexpr int64_t kFloat = 4;
/// Rows of the lm_head worked on at once; the default of nn::labelled_cross_entropy_sum.
constexpr int64_t kLossRows = 512;
/// The program with LibTorch mapped, its thread pools, the file of a small base and the data of a
/// run.
constexpr int64_t kRuntimeBytes = 190'000'000;
/// Activations of short life leave holes between those that are kept; measured at 256 to 2048
/// tokens per micro-batch.
constexpr double kHoles = 1.1;

/// Widths a decoder's layer works with.
struct Widths {
  int64_t hidden, inner, queries, keys;
};

Widths widths_of(const arch::ModelConfig& config) {
  return {config.hidden_size, config.intermediate_size,
          config.num_attention_heads * config.head_dim,
          config.num_key_value_heads * config.head_dim};
}

struct Projection {
  const char* name;
  int64_t in, out;
  int group;  ///< projections of a group share their input
};

std::vector<Projection> projections(const Widths& w) {
  return {{"q_proj", w.hidden, w.queries, 0},  {"k_proj", w.hidden, w.keys, 0},
          {"v_proj", w.hidden, w.keys, 0},     {"o_proj", w.queries, w.hidden, 1},
          {"gate_proj", w.hidden, w.inner, 2}, {"up_proj", w.hidden, w.inner, 2},
          {"down_proj", w.inner, w.hidden, 3}};
}

bool is_target(const spec::MixtureSpec& spec, const std::string& name) {
  return std::any_of(spec.target_modules.begin(), spec.target_modules.end(),
                     [&](const std::string& target) { return target.ends_with(name); });
}

/// Trained parameters of all layers, and the narrow activations per token that experts keep: in the
/// type of the frozen model, and in float32.
struct Adapters {
  int64_t parameters = 0;
  int64_t stacked = 0;  ///< of them those joined with gates for one product: a copy
  int64_t kept_per_token = 0;
  int64_t kept_floats_per_token = 0;
};

int64_t gate_width(const spec::MixtureSpec& spec, const Widths& widths, int64_t in) {
  if (spec.gate.source == spec::GateSource::kBlockInput) return widths.hidden;
  return spec.gate.source == spec::GateSource::kRankActivation ? spec.experts.rank : in;
}

void add_layer(const spec::MixtureSpec& spec,
               const Widths& widths,
               int64_t experts,
               int64_t dtype_bytes,
               Adapters& adapters) {
  const bool shares_a = spec.experts.kind == spec::ExpertKind::kSharedA ||
                        spec.experts.kind == spec::ExpertKind::kCore;
  const int64_t mixed = experts * spec.experts.rank;
  const int64_t down = shares_a ? spec.experts.rank : mixed;
  bool has_attention_gate = false, has_mlp_gate = false;
  int last_group = -1;
  for (const Projection& p : projections(widths)) {
    if (!is_target(spec, p.name)) continue;
    adapters.parameters += spec::experts_cost(spec, p.in, p.out, experts).parameters;
    adapters.kept_per_token += down + (shares_a ? mixed : 0);  // A x, and what experts make of it
    if (!spec.has_gate()) continue;
    // Gates work in float32: they share the product of A where the model does too, and keep a wide
    // copy of their input where it does not.
    const bool is_wide = dtype_bytes == kFloat;
    if (is_wide) adapters.stacked += down * p.in;
    bool& seen = std::string_view(p.name).size() == 6 ? has_attention_gate : has_mlp_gate;
    if (spec.gate.share == spec::GateShare::kBlock && seen) continue;
    seen = true;
    const int64_t in = gate_width(spec, widths, p.in);
    adapters.parameters += spec::gate_cost(spec, in, experts).parameters;
    if (!is_wide && p.group != last_group) adapters.kept_floats_per_token += in;
    last_group = p.group;
    adapters.kept_floats_per_token += 4 * experts;  // logits, probabilities, weights, their log
  }
}

Adapters adapters_of(const spec::MixtureSpec& spec,
                     const Widths& widths,
                     int64_t layers,
                     int64_t dtype_bytes) {
  Adapters adapters;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const int64_t experts =
        spec.experts.count_at(static_cast<int>(layer), static_cast<int>(layers));
    add_layer(spec, widths, experts, dtype_bytes, adapters);
  }
  return adapters;
}

/// Elements per token that a layer keeps for backward: inputs and outputs of two norms; q, k, v and
/// the output of attention; gate, up and their product.
int64_t kept_per_token(const Widths& w) {
  const int64_t norms = 2 * 2 * w.hidden;
  const int64_t attention = 2 * w.queries + 2 * w.keys;
  const int64_t mlp = 3 * w.inner;
  return norms + attention + mlp;
}

int64_t frozen_parameters(const arch::ModelConfig& config, const Widths& w) {
  int64_t layer = 2 * w.hidden;
  for (const Projection& p : projections(w)) layer += p.in * p.out;
  const int64_t heads = config.tie_word_embeddings ? 1 : 2;
  return config.num_hidden_layers * layer + w.hidden + heads * config.vocab_size * w.hidden;
}

/// Dropout keeps a masked copy of the input of each group of projections, and the mask.
int64_t kept_by_dropout(const spec::MixtureSpec& spec, const Widths& w) {
  return spec.experts.dropout > 0.0 ? 2 * (2 * w.hidden + w.queries + w.inner) : 0;
}

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", static_cast<double>(bytes) / kGigabyte);
  return text;
}

/// The largest micro-batch that fits, or else the longest rows of one.
std::string what_fits(recipe::Recipe recipe,
                      const arch::ModelConfig& config,
                      int64_t dtype_bytes,
                      int64_t available) {
  const auto needed = [&] { return forecast_memory(recipe, config, dtype_bytes).total(); };
  int64_t& rows = recipe.batch.micro_batch_size;
  int64_t& length = recipe.data.sequence_len;
  constexpr int64_t kShortest = 32;
  int64_t fitting = 0;
  for (int64_t too_many = rows; too_many - fitting > 1;) {
    rows = fitting + (too_many - fitting) / 2;
    (needed() <= available ? fitting : too_many) = rows;
  }
  if (fitting > 0) {
    rows = fitting;
    return concat("micro_batch_size=", rows, " needs ", gigabytes(needed()), " GB");
  }
  rows = 1;
  for (length /= 2; length >= kShortest; length /= 2) {
    if (const int64_t bytes = needed(); bytes <= available)
      return concat("micro_batch_size=1 with sequence_len=", length, " needs ", gigabytes(bytes),
                    " GB");
  }
  return dtype_bytes > 2 ? "bf16=true, fewer experts, a smaller rank or a smaller base_model"
                         : "fewer experts, a smaller rank or a smaller base_model";
}

/// Numbers that the optimizer keeps.
int64_t remembered_per_parameter(const recipe::OptimizerOptions& options) {
  if (options.optimizer == recipe::Optimizer::kAdamW) return 2;
  return options.sgd_momentum.value_or(0.0) > 0.0 ? 1 : 0;
}

}  // namespace

int64_t MemoryForecast::total() const {
  return base_bytes + adapter_bytes + optimizer_bytes + activation_bytes + loss_bytes +
         runtime_bytes;
}

std::string MemoryForecast::text() const {
  return gigabytes(total()) + " GB (base " + gigabytes(base_bytes) + ", adapters " +
         gigabytes(adapter_bytes) + ", optimizer " + gigabytes(optimizer_bytes) + ", activations " +
         gigabytes(activation_bytes) + ", loss " + gigabytes(loss_bytes) + ", program " +
         gigabytes(runtime_bytes) + ")";
}

MemoryForecast forecast_memory(const recipe::Recipe& recipe,
                               const arch::ModelConfig& config,
                               int64_t dtype_bytes) {
  const Widths widths = widths_of(config);
  const int64_t layers = config.num_hidden_layers;
  const Adapters adapters = adapters_of(recipe.mixture, widths, layers, dtype_bytes);
  const int64_t tokens = recipe.batch.micro_batch_size * recipe.data.sequence_len;
  MemoryForecast forecast;
  forecast.trained_parameters = adapters.parameters;
  forecast.base_bytes = frozen_parameters(config, widths) * dtype_bytes;
  forecast.adapter_bytes = 2 * forecast.trained_parameters * kFloat +
                           adapters.stacked * dtype_bytes +
                           (dtype_bytes < kFloat ? forecast.trained_parameters * dtype_bytes : 0);
  forecast.optimizer_bytes =
      remembered_per_parameter(recipe.optimizer) * forecast.trained_parameters * kFloat;
  const int64_t by_decoder = kept_per_token(widths) + kept_by_dropout(recipe.mixture, widths);
  const int64_t kept = (layers * by_decoder + adapters.kept_per_token) * dtype_bytes +
                       adapters.kept_floats_per_token * kFloat;
  forecast.activation_bytes = static_cast<int64_t>(kHoles * static_cast<double>(tokens * kept));
  const int64_t loss_rows = std::min(tokens, kLossRows);
  forecast.loss_bytes = loss_rows * config.vocab_size * dtype_bytes +
                        4 * tokens * (widths.hidden + widths.inner) * dtype_bytes;
  forecast.runtime_bytes = kRuntimeBytes;
  return forecast;
}

std::string memory_shortage(const recipe::Recipe& recipe,
                            const arch::ModelConfig& config,
                            int64_t dtype_bytes,
                            int64_t available) {
  const MemoryForecast forecast = forecast_memory(recipe, config, dtype_bytes);
  if (available == 0 || forecast.total() <= available) return "";
  return concat("needs ", forecast.text(), ", ", gigabytes(available),
                " GB free; hint: ", what_fits(recipe, config, dtype_bytes, available));
}

void check_memory(const recipe::Recipe& recipe,
                  const arch::ModelConfig& config,
                  int64_t dtype_bytes,
                  int64_t available) {
  const std::string shortage = memory_shortage(recipe, config, dtype_bytes, available);
  if (!shortage.empty()) fail(ErrorCode::kOutOfMemory, "[train] ", shortage);
}

}  // namespace lmoe::train
