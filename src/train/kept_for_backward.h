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

/// The layers from the lowest adapter up; the others keep nothing.
int64_t layers_with_backward(const spec::MixtureSpec& spec, const arch::ModelConfig& config);

}  // namespace lmoe::train
