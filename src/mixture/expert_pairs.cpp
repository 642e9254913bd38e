#include "mixture/expert_pairs.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {

int64_t lanes_for(int64_t tokens) {
  constexpr int64_t kTokensPerLane = 128;
  return std::clamp<int64_t>(tokens / kTokensPerLane, 1, at::get_num_threads());
}

ExpertPairs sort_pairs(const at::Tensor& weights, int64_t lanes) {
  ExpertPairs pairs{weights.size(0), weights.size(1), lanes, {}, {}, {0}, {}};
  nn::dispatch_dtype(weights, [&](auto tag) {
    using W = nn::accumulate_t<typename decltype(tag)::type>;
    const W* w = weights.const_data_ptr<W>();
    std::vector<uint8_t> is_used(static_cast<size_t>(pairs.tokens), 0);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const int64_t begin = pairs.tokens * lane / lanes, end = pairs.tokens * (lane + 1) / lanes;
      for (int64_t e = 0; e < pairs.experts; ++e) {
        for (int64_t t = begin; t < end; ++t) {
          if (w[t * pairs.experts + e] == W(0)) continue;
          uint8_t& used = is_used[static_cast<size_t>(t)];
          pairs.token.push_back(static_cast<int32_t>(t));
          pairs.is_first.push_back(used == 0 ? 1 : 0);
          used = 1;
        }
        pairs.first.push_back(pairs.size());
      }
    }
    for (size_t t = 0; t < is_used.size(); ++t)
      if (is_used[t] == 0) pairs.unused.push_back(static_cast<int32_t>(t));
  });
  return pairs;
}

}  // namespace lmoe::mixture
