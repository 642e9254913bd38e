#include "eval/interval.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace lmoe::eval {
namespace {

/// Linear interpolation between order statistics, numpy's default. `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double share = position - static_cast<double>(below);
  return sorted[below] * (1.0 - share) + sorted[above] * share;
}

}  // namespace

double normal_quantile(double p) {
  LMOE_ASSERT(p > 0.0 && p < 1.0);
  // Bisection on the error function: exact to the last bits, and called once per task.
  double low = -40.0;
  double high = 40.0;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

Interval wilson_interval(double successes, double n, double confidence) {
  LMOE_ASSERT(n > 0.0);
  const double z = normal_quantile(0.5 + confidence / 2);
  const double share = successes / n;
  const double scale = 1.0 + z * z / n;
  const double centre = (share + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

Interval bootstrap_interval(int64_t count,
                            const std::function<double(std::span<const int32_t>)>& statistic,
                            double confidence,
                            int64_t samples,
                            uint64_t seed) {
  LMOE_ASSERT(count > 0 && samples > 0);
  Rng rng(seed);
  std::vector<int32_t> drawn(static_cast<size_t>(count));
  std::vector<double> values(static_cast<size_t>(samples));
  for (double& value : values) {
    for (int32_t& index : drawn)
      index = static_cast<int32_t>(rng.below(static_cast<uint64_t>(count)));
    value = statistic(drawn);
  }
  std::sort(values.begin(), values.end());
  const double tail = (1.0 - confidence) / 2;
  return {quantile(values, tail), quantile(values, 1.0 - tail)};
}

std::optional<Interval> interval_of(Metric metric,
                                    std::span<const Outcome> outcomes,
                                    const EvalOptions& options) {
  const auto count = static_cast<int64_t>(outcomes.size());
  if (metric != Metric::kPerplexity) {
    double successes = 0.0;
    for (const Outcome& outcome : outcomes) successes += outcome.value;
    return wilson_interval(successes, static_cast<double>(count), options.confidence);
  }
  if (count < 2) return std::nullopt;
  std::vector<Outcome> drawn(outcomes.size());
  const auto statistic = [&](std::span<const int32_t> indices) {
    for (size_t i = 0; i < drawn.size(); ++i) drawn[i] = outcomes[indices[i]];
    return score_of(metric, drawn);
  };
  return bootstrap_interval(count, statistic, options.confidence, options.bootstrap_samples,
                            options.seed);
}

}  // namespace lmoe::eval
