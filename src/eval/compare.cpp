#include "eval/compare.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lmoe::eval {
namespace {

std::vector<Outcome> pick(std::span<const Outcome> outcomes, std::span<const int32_t> indices) {
  std::vector<Outcome> picked;
  picked.reserve(indices.size());
  for (const int32_t index : indices) picked.push_back(outcomes[index]);
  return picked;
}

}  // namespace

double mcnemar_p_value(int64_t only_first, int64_t only_second) {
  const int64_t n = only_first + only_second;
  const int64_t fewer = std::min(only_first, only_second);
  double tail = 0.0;
  for (int64_t k = 0; k <= fewer; ++k) {
    const auto count = static_cast<double>(n);
    const auto chosen = static_cast<double>(k);
    tail += std::exp(std::lgamma(count + 1) - std::lgamma(chosen + 1) -
                     std::lgamma(count - chosen + 1) - count * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

Comparison compare(Metric metric,
                   std::span<const Outcome> first,
                   std::span<const Outcome> second,
                   const EvalOptions& options) {
  LMOE_CHECK_ARG(first.size() == second.size() && !first.empty(),
                 "[eval] models can only be compared on the same records: given ", first.size(),
                 " and ", second.size());
  Comparison result;
  result.difference = score_of(metric, second) - score_of(metric, first);
  result.interval = bootstrap_interval(
      static_cast<int64_t>(first.size()),
      [&](std::span<const int32_t> drawn) {
        return score_of(metric, pick(second, drawn)) - score_of(metric, pick(first, drawn));
      },
      options.confidence, options.bootstrap_samples, options.seed);
  if (metric == Metric::kPerplexity) return result;
  int64_t only_first = 0;
  int64_t only_second = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    only_first += first[i].value > second[i].value ? 1 : 0;
    only_second += second[i].value > first[i].value ? 1 : 0;
  }
  result.p_value = mcnemar_p_value(only_first, only_second);
  return result;
}

}  // namespace lmoe::eval
