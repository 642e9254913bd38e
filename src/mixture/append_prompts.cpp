#include "mixture/append_prompts.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "base/error.h"
#include "mixture/cosines.h"
#include "mixture/key_prototypes.h"

namespace lmoe::mixture {
namespace {

/// How often each of `entries` is in `found` [D, n], as shares.
at::Tensor shares_of(const at::Tensor& found, int64_t entries) {
  const at::Tensor all = found.reshape({-1});
  return at::bincount(all, /*weights=*/{}, entries).to(at::kDouble) /
         static_cast<double>(all.numel());
}

/// Everything but the bank.
void copy_others(const std::vector<nn::NamedTensor>& from, const std::vector<nn::NamedTensor>& to) {
  LMOE_ASSERT(from.size() == to.size());
  for (size_t i = 0; i < to.size(); ++i)
    if (!to[i].name.starts_with("prompts.")) to[i].tensor.copy_(from[i].tensor);
}

void append(const at::Tensor& own, const at::Tensor& given, const at::Tensor& more) {
  own.narrow(/*dim=*/0, 0, given.size(0)).copy_(given);
  own.narrow(/*dim=*/0, given.size(0), more.size(0)).copy_(more);
}

}  // namespace

PromptEntries entries_for(const PromptBank& bank,
                          int64_t select,
                          const at::Tensor& features,
                          int64_t count) {
  const c10::NoGradGuard no_grad;
  LMOE_CHECK_ARG(count > 0 && features.size(0) >= count, "[prompts] given ", features.size(0),
                 " samples, expected at least one for each of ", count, " new entries");
  const at::Tensor points = unit(features.to(at::kDouble));
  const at::Tensor found =
      nearest_entries(at::mm(points, unit(bank.keys().to(at::kDouble)).t()), select);
  PromptEntries entries;
  entries.keys = key_prototypes(features, count);
  const at::Tensor labels = at::mm(points, entries.keys.t()).argmax(/*dim=*/1);
  const at::Tensor known = bank.embeddings().to(at::kDouble);
  std::vector<at::Tensor> embeddings;
  for (int64_t k = 0; k < count; ++k) {
    const at::Tensor own = labels.eq(k).nonzero().squeeze(1);
    // Of equal samples all go to the first key; the others begin as what anybody found.
    const at::Tensor shares =
        shares_of(own.numel() > 0 ? found.index_select(0, own) : found, known.size(0));
    embeddings.push_back(at::tensordot(shares, known, /*dims_self=*/{0}, /*dims_other=*/{0}));
  }
  entries.embeddings = at::stack(embeddings);
  return entries;
}

std::unique_ptr<Mixture> with_prompts_added(const Mixture& mixture,
                                            const nn::Sockets& sockets,
                                            const PromptEntries& entries) {
  const c10::NoGradGuard no_grad;
  LMOE_CHECK_ARG(mixture.prompt_bank() != nullptr,
                 "[prompts] the mixture has no bank of prompts: given mixture.prompts.count 0");
  spec::MixtureSpec spec = mixture.spec();
  spec.experts.adapters.clear();  // what they began as
  spec.prompts.count += entries.keys.size(0);
  auto longer = std::make_unique<Mixture>(std::move(spec), sockets, /*seed=*/0,
                                          mixture.prompt_bank()->keys().scalar_type());
  copy_others(mixture.parameters(), longer->parameters());
  copy_others(mixture.fixed_tensors(), longer->fixed_tensors());
  copy_others(mixture.buffers(), longer->buffers());
  const PromptBank &own = *longer->prompt_bank(), &given = *mixture.prompt_bank();
  append(own.keys(), given.keys(), entries.keys);
  append(own.embeddings(), given.embeddings(), entries.embeddings);
  return longer;
}

}  // namespace lmoe::mixture
