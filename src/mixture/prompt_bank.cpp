#include "mixture/prompt_bank.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/rng.h"
#include "mixture/cosines.h"
#include "mixture/initial.h"
#include "nn/kv_cache.h"

namespace lmoe::mixture {
namespace {

constexpr uint64_t kPromptStream = 0x70726F6D707473;  // "prompts"

void check_begins_whole(const nn::Segment& document, bool has_cache) {
  LMOE_CHECK_ARG(document.prompt >= 0,
                 "[prompts] a bank of prompts needs to know where the prompt of each document "
                 "ends");
  LMOE_CHECK_ARG(!has_cache || document.prompt <= document.length,
                 "[prompts] what a document finds depends on its whole prompt: given ",
                 document.length, " of its ", document.prompt,
                 " tokens; hint: feed it in one piece");
  LMOE_CHECK_ARG(
      document.passages.empty(),
      "[prompts] what a document finds depends on all its passages, which are to be kept "
      "apart: given a document with passages");
}

void check_has_prompts(const nn::RouterLog& log) {
  LMOE_CHECK_ARG(log.prompt_cosines.defined(),
                 "[auxiliary_loss] the router log has no prompts; hint: forward with "
                 "context.router_log set");
}

}  // namespace

PromptBank::PromptBank(const spec::PromptsSpec& spec,
                       int64_t hidden_size,
                       uint64_t seed,
                       const at::TensorOptions& options)
    : spec_(spec),
      keys_(at::empty({spec.count, hidden_size}, options)),
      embeddings_(at::empty({spec.count, spec.length, hidden_size}, options)) {
  LMOE_CHECK_ARG(spec.select <= spec.count, "[prompts] given ", spec.select,
                 " prompts for each document, expected at most ", spec.count);
  Rng rng(seed, kPromptStream);
  fill_normal(keys_, spec.init_range, rng);
  fill_normal(embeddings_, spec.init_range, rng);
  embeddings_.requires_grad_(true);
  keys_.requires_grad_(spec.trains_keys());
}

at::Tensor PromptBank::choose(const at::Tensor& embedded, nn::ForwardContext& context) const {
  const std::vector<at::Tensor> all = features(embedded, context);
  if (all.empty()) return embedded.new_empty({0, positions(), embedded.size(1)});
  const at::Tensor cosines = products_with_keys(unit(at::stack(all)), unit(keys_));
  const at::Tensor chosen = nearest_entries(cosines, spec_.select);
  if (context.router_log != nullptr) {
    context.router_log->prompt_cosines = cosines;
    context.router_log->chosen_prompts = chosen;
  }
  return embeddings_.index_select(/*dim=*/0, chosen.reshape({-1}))
      .view({chosen.size(0), positions(), embedded.size(1)})
      .to(embedded.scalar_type());
}

std::vector<at::Tensor> PromptBank::features(const at::Tensor& embedded,
                                             nn::ForwardContext& context) const {
  const bool has_cache = context.kv_cache != nullptr;
  at::Tensor prompts;  // per sequence, how long its prompt was
  if (has_cache) prompts = context.kv_cache->memory(this, 1, at::kLong);
  std::vector<at::Tensor> all;
  for (const nn::Segment& document : context.segments) {
    if (document.past > 0) {
      LMOE_CHECK_ARG(prompts[document.slot].item<int64_t>() <= document.past,
                     "[prompts] a sequence was cut inside its prompt, on all of which the prompts "
                     "before it depend; hint: feed the new prompt from its beginning");
      continue;
    }
    check_begins_whole(document, has_cache);
    if (has_cache) prompts[document.slot].fill_(document.prompt);
    all.push_back(embedded
                      .narrow(/*dim=*/0, document.start,
                              std::clamp<int64_t>(document.prompt, 1, document.length))
                      .to(keys_.scalar_type())
                      .mean(/*dim=*/0));
  }
  return all;
}

std::vector<nn::NamedTensor> PromptBank::parameters() const {
  std::vector<nn::NamedTensor> all = {{"prompts.embeddings", embeddings_}};
  if (spec_.trains_keys()) all.push_back({"prompts.keys", keys_});
  return all;
}

std::vector<nn::NamedTensor> PromptBank::fixed_tensors() const {
  if (spec_.trains_keys()) return {};
  return {{"prompts.keys", keys_}};
}

std::vector<PartOfParameter> PromptBank::frozen_parts() const {
  if (spec_.frozen == 0) return {};
  std::vector<PartOfParameter> parts;
  for (const nn::NamedTensor& own : parameters())
    parts.push_back({own.tensor, own.tensor.detach().narrow(/*dim=*/0, 0, spec_.frozen)});
  return parts;
}

at::Tensor nearest_entries(const at::Tensor& cosines, int64_t n) {
  return at::argsort(cosines.detach(), /*stable=*/true, /*dim=*/1, /*descending=*/true)
      .narrow(/*dim=*/1, 0, n);
}

at::Tensor prompt_matching_loss(const nn::RouterLog& log) {
  check_has_prompts(log);
  const at::Tensor found = log.prompt_cosines.gather(/*dim=*/1, log.chosen_prompts);
  return (1 - found).sum(/*dim=*/1).mean();
}

at::Tensor prompt_triplet_loss(const nn::RouterLog& log, double margin) {
  check_has_prompts(log);
  const at::Tensor& cosines = log.prompt_cosines;
  const at::Tensor found = cosines.gather(/*dim=*/1, log.chosen_prompts);
  const at::Tensor is_found =
      at::zeros_like(cosines, at::kBool).scatter_(/*dim=*/1, log.chosen_prompts, /*value=*/true);
  const at::Tensor nearest_other = cosines
                                       .masked_fill(is_found, -2.0)  // less than any cosine
                                       .amax(/*dim=*/1, /*keepdim=*/true);
  return at::relu(margin + nearest_other - found).sum(/*dim=*/1).mean();
}

}  // namespace lmoe::mixture
