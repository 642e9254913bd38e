#include "train/frozen_parts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"

namespace lmoe::train {

FrozenParts::FrozenParts(const mixture::Mixture& mixture) {
  const c10::NoGradGuard no_grad;
  for (const mixture::PartOfParameter& part : mixture.frozen_parts())
    parts_.push_back({part, part.view.clone()});
}

void FrozenParts::clear_gradients() const {
  for (const auto& [part, value] : parts_) {
    at::Tensor gradient = part.parameter.grad();
    if (!gradient.defined()) continue;
    // The same layout, but for the strides of dimensions of one.
    LMOE_ASSERT(gradient.is_contiguous() && part.parameter.is_contiguous());
    gradient
        .as_strided(part.view.sizes(), part.view.strides(),
                    gradient.storage_offset() + part.view.storage_offset() -
                        part.parameter.storage_offset())
        .zero_();
  }
}

void FrozenParts::restore() const {
  const c10::NoGradGuard no_grad;
  for (const auto& [part, value] : parts_) part.view.copy_(value);
}

}  // namespace lmoe::train
