// Which projections of a decoder a mixture adapts, and what that costs, from sizes alone.
//
//   for (const AdaptedSite& site : adapted_sites(spec, shape)) …
//   trained_parameters(spec, shape)               what Mixture::trained_parameter_count() will be
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spec/site_cost.h"

namespace lmoe::spec {

/// The sizes of a decoder that adapters depend on.
struct DecoderShape {
  int layers = 0;
  int64_t hidden_size = 0;
  int64_t query_size = 0;  ///< heads x head_dim
  int64_t key_size = 0;    ///< key-value heads x head_dim
  int64_t intermediate_size = 0;
};

/// One projection of a layer.
struct ProjectionShape {
  std::string name;   ///< "q_proj"
  std::string block;  ///< "self_attn" or "mlp"
  int64_t in = 0, out = 0;
  int group = 0;  ///< within the layer; projections of a group share their input
};

/// The seven projections of every layer, in the order of a forward.
std::vector<ProjectionShape> layer_projections(const DecoderShape& shape);

struct AdaptedSite {
  int layer = 0;
  ProjectionShape projection;
  int64_t experts = 1;
  /// What the gate reads that comes with this site; empty when there is none, or when another site
  /// of the block brought it.
  std::optional<int64_t> gate_width;
};

/// Layer by layer. Targets match as PEFT's do: the whole module path, or its end after a dot.
std::vector<AdaptedSite> adapted_sites(const MixtureSpec& spec, const DecoderShape& shape);

/// The lowest layer with an adapter, plain LoRAs included, or the first with prompts in front of
/// documents; layers below it are frozen.
int lowest_adapted_layer(const MixtureSpec& spec, const DecoderShape& shape);

/// All experts and gates, the plain LoRAs beside them, and prompts.
SiteCost mixture_cost(const MixtureSpec& spec, const DecoderShape& shape);

/// Of its parameters, those that training changes: finished experts stay as they are.
int64_t trained_parameters(const MixtureSpec& spec, const DecoderShape& shape);

/// Multiply-adds per token of the projections themselves, in all layers.
int64_t frozen_multiply_adds(const DecoderShape& shape);

}  // namespace lmoe::spec
