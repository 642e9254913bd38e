#include "mixture/expert_pairs.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <utility>

#include "nn/dispatch.h"
#include "nn/stored_types.h"

namespace lmoe::mixture {

namespace {

/// Appends the pairs of the tokens [begin, end): counts them by expert, then puts each in its
/// place, so that the weights are read row by row.
template <class W>
void sort_lane(const W* weights, int64_t begin, int64_t end, ExpertPairs& pairs) {
  const auto for_each_pair = [&](const auto& body) {
    for (int64_t t = begin; t < end; ++t) {
      bool is_first = true;
      for (int64_t e = 0; e < pairs.experts; ++e) {
        if (weights[t * pairs.experts + e] == W(0)) continue;
        body(t, static_cast<size_t>(e), is_first);
        is_first = false;
      }
      if (is_first) body(t, static_cast<size_t>(pairs.experts), is_first);
    }
  };
  const auto experts = static_cast<size_t>(pairs.experts);
  std::vector<int64_t> places(experts + 1, 0);  // counts first; nobody's tokens are the last's
  for_each_pair([&](int64_t /*t*/, size_t e, bool /*is_first*/) { ++places[e]; });
  for (size_t e = 0, next = pairs.token.size(); e < experts; ++e) {
    next += static_cast<size_t>(std::exchange(places[e], static_cast<int64_t>(next)));
    pairs.first.push_back(static_cast<int64_t>(next));
  }
  pairs.token.resize(static_cast<size_t>(pairs.first.back()));
  pairs.is_first.resize(pairs.token.size());
  for_each_pair([&](int64_t t, size_t e, bool is_first) {
    if (e == experts) return pairs.unused.push_back(static_cast<int32_t>(t));
    const auto place = static_cast<size_t>(places[e]++);
    pairs.token[place] = static_cast<int32_t>(t);
    pairs.is_first[place] = is_first ? 1 : 0;
  });
}

}  // namespace

int64_t lanes_for(int64_t tokens) {
  constexpr int64_t kTokensPerLane = 128;
  return std::clamp<int64_t>(tokens / kTokensPerLane, 1, at::get_num_threads());
}

ExpertPairs sort_pairs(const at::Tensor& weights, int64_t lanes) {
  ExpertPairs pairs{weights.size(0), weights.size(1), lanes, {}, {}, {0}, {}};
  nn::dispatch_dtype(weights, [&](auto tag) {
    using W = nn::accumulate_t<typename decltype(tag)::type>;
    for (int64_t lane = 0; lane < lanes; ++lane)
      sort_lane(weights.const_data_ptr<W>(), pairs.tokens * lane / lanes,
                pairs.tokens * (lane + 1) / lanes, pairs);
  });
  return pairs;
}

}  // namespace lmoe::mixture
