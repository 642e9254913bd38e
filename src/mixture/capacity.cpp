#include "mixture/capacity.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/kv_cache.h"

namespace lmoe::mixture {

at::Tensor over_capacity(const at::Tensor& selected,
                         int64_t capacity,
                         const void* gate,
                         nn::ForwardContext& context) {
  std::vector<nn::Segment> documents = context.segments;
  if (documents.empty()) documents.push_back({.start = 0, .length = selected.size(0)});
  at::Tensor over = at::zeros_like(selected);
  for (const nn::Segment& document : documents) {
    LMOE_CHECK_ARG(document.passages.empty(),
                   "[route] select.capacity would let one passage push out another's tokens: given "
                   "a document with passages");
    const at::Tensor chosen = selected.narrow(/*dim=*/0, document.start, document.length);
    at::Tensor counts = chosen.cumsum(/*dim=*/0);
    if (context.kv_cache != nullptr) {
      const at::Tensor notes =
          context.kv_cache->notes(gate, selected.size(1), at::kBool)[document.slot];
      counts = counts + notes.narrow(/*dim=*/0, 0, document.past).sum(/*dim=*/0);
      notes.narrow(/*dim=*/0, document.past, document.length).copy_(chosen);
    }
    over.narrow(/*dim=*/0, document.start, document.length)
        .copy_(chosen.logical_and(counts.gt(capacity)));
  }
  return over;
}

}  // namespace lmoe::mixture
