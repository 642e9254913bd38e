// What experts and gates keep for backward, per token, from sizes alone.
//
// Each bank (mixture/expert_bank.h) and each net of a gate (mixture/gate_net.h) has its line here.
#pragma once

#include <cstdint>
#include <vector>

#include "spec/adapted_sites.h"

namespace lmoe::train {

/// What a forward works on.
struct Activations {
  int64_t tokens = 0;
  int64_t dtype_bytes = 4;  ///< of the frozen model
};

/// Numbers per token: in the type of the frozen model, and in float32, in which gates and whole
/// FFNs compute.
struct TokenNumbers {
  int64_t elements = 0, floats = 0;

  int64_t bytes(int64_t dtype_bytes) const;
  TokenNumbers& operator+=(const TokenNumbers& other);
};

/// Projections of a layer that share their input, as `spec::layer_projections` numbers them.
enum LayerGroup : int { kQkv, kO, kGateUp, kDown };

/// Adapted projections of a layer that share their input, and a bank.
struct AdaptedGroup {
  int layer = 0, group = 0;
  int64_t in = 0;
  std::vector<spec::AdaptedSite> sites;

  int64_t experts() const { return sites.front().experts; }
  /// Decisions that are made here, all from one input; 0 where a gate decided before, or none does.
  int64_t gates() const;
  int64_t out() const;
};

/// Layer by layer; not those of `plain`.
std::vector<AdaptedGroup> adapted_groups(const spec::MixtureSpec& spec,
                                         const spec::DecoderShape& shape);

/// Of the experts and gates of all layers, without the plain LoRAs beside them: what they make, and
/// what they copy of their input. Not the input itself.
TokenNumbers kept_by_adapters(const spec::MixtureSpec& spec,
                              const spec::DecoderShape& shape,
                              const Activations& activations);

}  // namespace lmoe::train
