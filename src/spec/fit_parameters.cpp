#include "spec/fit_parameters.h"

#include <cstdlib>

namespace lmoe::spec {
namespace {

constexpr int64_t kLargestRank = 65536;
constexpr int64_t kMostExperts = 4096;

}  // namespace

MixtureSpec fit_parameters(MixtureSpec spec, const DecoderShape& shape, int64_t parameters) {
  const bool is_rank_one = spec.experts.kind == ExpertKind::kRankOne;
  int64_t& size = is_rank_one ? spec.experts.count : spec.experts.rank;
  const auto cost_of = [&](int64_t wanted) {
    size = wanted;
    return mixture_cost(spec, shape).parameters;
  };
  // The cost grows with the size: the least that reaches `parameters`, or the one below it.
  const int64_t least = is_rank_one ? spec.select.k.value_or(1) : 1;
  int64_t low = least, high = is_rank_one ? kMostExperts : kLargestRank;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (cost_of(middle) < parameters)
      low = middle + 1;
    else
      high = middle;
  }
  const bool below_is_nearer =
      low > least && parameters - cost_of(low - 1) <= std::abs(cost_of(low) - parameters);
  size = below_is_nearer ? low - 1 : low;
  check_mixture(spec, spec.method);
  return spec;
}

}  // namespace lmoe::spec
