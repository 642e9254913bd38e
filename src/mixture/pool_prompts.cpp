#include "mixture/pool_prompts.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "nn/kv_cache.h"

namespace lmoe::mixture {
namespace {

void check_prompt(const nn::Segment& document, bool has_cache) {
  LMOE_CHECK_ARG(document.prompt >= 0,
                 "[route] gate.pool prompt needs to know where the prompt of each document ends");
  LMOE_CHECK_ARG(!has_cache || document.prompt <= document.length,
                 "[route] gate.pool prompt averages over the whole prompt: given ", document.length,
                 " of its ", document.prompt, " tokens; hint: feed it in one piece");
  LMOE_CHECK_ARG(document.passages.empty(),
                 "[route] gate.pool prompt would let one passage decide for another: given a "
                 "document with passages");
}

}  // namespace

at::Tensor pool_over_prompts(const at::Tensor& logits,
                             const void* gate,
                             nn::ForwardContext& context) {
  if (context.segments.empty()) return logits;
  const int64_t gates = logits.size(1), experts = logits.size(2);
  const bool has_cache = context.kv_cache != nullptr;
  at::Tensor kept;  // per sequence: length of the prompt, then its mean
  if (has_cache) kept = context.kv_cache->memory(gate, 1 + gates * experts, logits.scalar_type());
  std::vector<at::Tensor> all;
  for (const nn::Segment& document : context.segments) {
    at::Tensor mean;
    if (document.past == 0) {
      check_prompt(document, has_cache);
      mean = logits
                 .narrow(/*dim=*/0, document.start,
                         std::clamp<int64_t>(document.prompt, 1, document.length))
                 .mean(/*dim=*/0, /*keepdim=*/true);
      if (has_cache) {
        kept[document.slot][0].fill_(document.prompt);
        kept[document.slot].narrow(/*dim=*/0, 1, gates * experts).copy_(mean.detach().view({-1}));
      }
    } else {
      const at::Tensor own = kept[document.slot];
      LMOE_CHECK_ARG(own[0].item<double>() <= static_cast<double>(document.past),
                     "[route] gate.pool prompt: a sequence was cut inside its prompt, whose tokens "
                     "depend on all of it; hint: feed the new prompt from its beginning");
      mean = own.narrow(/*dim=*/0, 1, gates * experts).view({1, gates, experts}).clone();
    }
    all.push_back(mean.expand({document.length, gates, experts}));
  }
  return at::cat(all);
}

}  // namespace lmoe::mixture
