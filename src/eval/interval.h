// Confidence intervals.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "eval/eval_options.h"
#include "eval/metric.h"

namespace lmoe::eval {

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// x with P(Z <= x) = p for a standard normal Z; 0 < p < 1.
double normal_quantile(double p);

/// Wilson's score interval for `successes` of `n` (Wilson 1927; without continuity correction). It
/// stays inside [0, 1] and is usable for small n and shares near 0 and 1. n > 0.
Interval wilson_interval(double successes, double n, double confidence);

/// Percentile bootstrap over `count` records: `statistic` gets the indices of one resampling.
Interval bootstrap_interval(int64_t count,
                            const std::function<double(std::span<const int32_t>)>& statistic,
                            double confidence,
                            int64_t samples,
                            uint64_t seed);

/// Accuracy: Wilson. Perplexity: bootstrap over records; none for a single record, which tells
/// nothing of the spread.
std::optional<Interval> interval_of(Metric metric,
                                    std::span<const Outcome> outcomes,
                                    const EvalOptions& options);

}  // namespace lmoe::eval
