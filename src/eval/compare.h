// Two models on the same records: the difference, its interval, and whether chance explains it.
#pragma once

#include <optional>
#include <span>

#include "eval/interval.h"

namespace lmoe::eval {

struct Comparison {
  double difference = 0.0;  ///< score of `second` minus score of `first`
  Interval interval;        ///< paired bootstrap over records
  /// Accuracy only: exact two-sided McNemar test, the chance of so uneven a split of the records on
  /// which the models differ if they were equally good.
  std::optional<double> p_value;
};

/// Outcomes of the same records in the same order. Throws kInvalidArgument for unequal or zero
/// lengths.
Comparison compare(Metric metric,
                   std::span<const Outcome> first,
                   std::span<const Outcome> second,
                   const EvalOptions& options);

/// P of a split at least as uneven as `only_first` : `only_second` under a fair coin; 1 for 0 : 0.
double mcnemar_p_value(int64_t only_first, int64_t only_second);

}  // namespace lmoe::eval
