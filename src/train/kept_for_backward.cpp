#include "train/kept_for_backward.h"

#include <algorithm>
#include <set>
#include <utility>

#include "recipe/decoder_shape.h"

namespace lmoe::train {
namespace {

constexpr int64_t kFloat = 4;
constexpr int kGroups = 4;  ///< of a layer
using LayerGroups = std::set<std::pair<int, int>>;

/// Whether the gradient of some A asks for what its projection reads. Dropout makes a copy, which
/// counts as the adapters', and pieces of kernels are copies as well.
bool keeps_for_a(const spec::MixtureSpec& spec) {
  return spec.experts.train_a && !spec.schedule.never_trains_experts() &&
         spec.experts.dropout == 0.0 && spec.experts.kind != spec::ExpertKind::kKronecker;
}

/// The group whose input a gate beside `group` reads.
int read_by_gate(const spec::MixtureSpec& spec, int group) {
  return spec.gate.source == spec::GateSource::kInput ? group : group < kGateUp ? kQkv : kGateUp;
}

/// Groups whose input is kept for their adapters or, in float32, for gates beside them, which read
/// a copy else.
void add_kept_inputs(const spec::MixtureSpec& spec,
                     const spec::DecoderShape& shape,
                     int64_t dtype_bytes,
                     LayerGroups& kept) {
  const bool is_block = spec.attach == spec::Attach::kFfnBlock;
  const bool gate_reads =
      dtype_bytes == kFloat && (spec.gate.source == spec::GateSource::kInput ||
                                spec.gate.source == spec::GateSource::kBlockInput);
  for (const AdaptedGroup& group : adapted_groups(spec, shape)) {
    // Whole FFNs keep what they read, and make again what down reads.
    const bool for_a =
        is_block ? group.group != kDown && spec.experts.dropout == 0.0 : keeps_for_a(spec);
    if (for_a) kept.insert({group.layer, group.group});
    if (gate_reads && group.gates() > 0)
      kept.insert({group.layer, read_by_gate(spec, group.group)});
  }
}

/// What a layer keeps from `first` on, its first group with a gradient; `inputs`: see above. Norms
/// keep their outputs, or in bfloat16 their inputs (nn/rms_norm.h); attention keeps q, k, v and its
/// output, the activation gate and up.
TokenNumbers kept_by_layer(const arch::ModelConfig& config,
                           const spec::DecoderShape& s,
                           int first,
                           bool has_gradient_below,
                           const std::set<int>& inputs,
                           int64_t dtype_bytes) {
  const auto keeps = [&](int group) { return inputs.count(group) > 0; };
  const bool is_narrow = dtype_bytes < kFloat;
  TokenNumbers kept;
  const auto add_norm = [&](bool is_kept, int group) {
    if (is_kept) kept += {s.hidden_size, 1};
    if (keeps(group) && (is_narrow || !is_kept)) kept.elements += s.hidden_size;
  };
  add_norm(has_gradient_below, kQkv);
  if (first <= kQkv) {
    kept += {2 * s.query_size + 2 * s.key_size, config.num_attention_heads};
    if (config.has_qk_norm)
      kept += {s.query_size + s.key_size, config.num_attention_heads + config.num_key_value_heads};
  } else if (keeps(kO)) {
    kept.elements += s.query_size;
  }
  add_norm(first <= kO, kGateUp);
  if (config.has_post_norms) kept += {(first <= kO ? 2 : 1) * s.hidden_size, 2};
  if (first <= kGateUp) kept.elements += 2 * s.intermediate_size;
  if (keeps(kDown)) kept.elements += s.intermediate_size;
  return kept;
}

/// The lowest group with an adapter, counted through all layers.
int first_group(const spec::MixtureSpec& spec, const spec::DecoderShape& shape) {
  const std::vector<AdaptedGroup> groups = adapted_groups(spec, shape);
  if (groups.empty()) return shape.layers * kGroups - 1;
  return groups.front().layer * kGroups + groups.front().group;
}

}  // namespace

int64_t layers_with_backward(const spec::MixtureSpec& spec, const arch::ModelConfig& config) {
  const spec::DecoderShape shape = recipe::decoder_shape(config);
  return std::max(1, shape.layers - spec::lowest_adapted_layer(spec, shape));
}

TokenNumbers kept_for_backward(const spec::MixtureSpec& spec,
                               const arch::ModelConfig& config,
                               const Activations& activations) {
  const spec::DecoderShape shape = recipe::decoder_shape(config);
  TokenNumbers kept = kept_by_adapters(spec, shape, activations);
  LayerGroups inputs;
  add_kept_inputs(spec, shape, activations.dtype_bytes, inputs);
  int first = first_group(spec, shape);
  if (spec.has_plain()) {
    const spec::MixtureSpec plain = spec.plain_part();
    kept += kept_by_adapters(plain, shape, activations);
    add_kept_inputs(plain, shape, activations.dtype_bytes, inputs);
    first = std::min(first, first_group(plain, shape));
  }
  const int lowest = shape.layers - static_cast<int>(layers_with_backward(spec, config));
  for (int layer = lowest; layer < shape.layers; ++layer) {
    std::set<int> own;
    for (const auto& [of_layer, group] : inputs)
      if (of_layer == layer) own.insert(group);
    const bool has_gradient_below = layer > lowest || spec.has_prompts();
    kept += kept_by_layer(config, shape, has_gradient_below ? kQkv : first % kGroups,
                          has_gradient_below, own, activations.dtype_bytes);
  }
  return kept;
}

}  // namespace lmoe::train
