#include "runner/prompt_prototypes.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "mixture/key_prototypes.h"
#include "mixture/prompt_bank.h"

namespace lmoe::runner {

at::Tensor prompt_features(const models::Decoder& decoder,
                           std::span<const std::vector<int32_t>> prompts) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> features;
  for (const std::vector<int32_t>& ids : prompts) {
    if (ids.empty()) continue;
    const at::Tensor embedded = decoder.embed(at::tensor(ids, at::kInt).to(at::kLong));
    features.push_back(embedded.to(at::kDouble).mean(/*dim=*/0));
  }
  return features.empty() ? at::Tensor() : at::stack(features);
}

void begin_with_prototypes(const models::Decoder& decoder,
                           const mixture::Mixture& mixture,
                           std::span<const std::vector<int32_t>> prompts) {
  const c10::NoGradGuard no_grad;
  if (mixture.prompt_bank() == nullptr) return;
  const at::Tensor features = prompt_features(decoder, prompts);
  if (!features.defined()) return;
  at::Tensor keys = mixture.prompt_bank()->keys();
  const at::Tensor prototypes = mixture::key_prototypes(features, keys.size(0));
  keys.narrow(/*dim=*/0, 0, prototypes.size(0)).copy_(prototypes);
}

}  // namespace lmoe::runner
