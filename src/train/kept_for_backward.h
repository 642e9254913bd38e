// What a forward keeps until its backward, per token, from sizes alone.
#pragma once

#include <cstdint>

#include "arch/model_config.h"
#include "spec/mixture_spec.h"
#include "train/kept_by_adapters.h"

namespace lmoe::train {

/// By all layers that have a backward, with their adapters.
TokenNumbers kept_for_backward(const spec::MixtureSpec& spec,
                               const arch::ModelConfig& config,
                               const Activations& activations);

/// Holes between what is kept, per token and of the frozen model's type: what the same layers make
/// and free again on the way. Where aligned blocks do not fit into the hole of an equally large one
/// (glibc before 2.38) four in five stay open, as was measured.
int64_t holes_for_backward(const spec::MixtureSpec& spec, const arch::ModelConfig& config);

/// The layers from the lowest adapter up; the others keep nothing.
int64_t layers_with_backward(const spec::MixtureSpec& spec, const arch::ModelConfig& config);

}  // namespace lmoe::train
