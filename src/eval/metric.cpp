#include "eval/metric.h"

#include <cmath>

namespace lmoe::eval {

std::span<const EnumName<Metric>> enum_names(Metric) {
  static constexpr EnumName<Metric> kNames[] = {
      {"auto", Metric::kAuto},
      {"exact_match", Metric::kExactMatch},
      {"choice", Metric::kChoice},
      {"perplexity", Metric::kPerplexity},
      {"pair_accuracy", Metric::kPairAccuracy},
  };
  return kNames;
}

Metric resolve_metric(Metric wanted, data::RecordType type) {
  if (wanted != Metric::kAuto) return wanted;
  if (type == data::RecordType::kChoice) return Metric::kChoice;
  if (type == data::RecordType::kText) return Metric::kPerplexity;
  if (type == data::RecordType::kPreference) return Metric::kPairAccuracy;
  return Metric::kExactMatch;
}

double score_of(Metric metric, std::span<const Outcome> outcomes) {
  double value = 0.0;
  double weight = 0.0;
  for (const Outcome& outcome : outcomes) {
    value += outcome.value;
    weight += outcome.weight;
  }
  LMOE_CHECK_ARG(weight > 0.0,
                 "[eval] nothing to score: given records without a scored token, expected answers");
  return metric == Metric::kPerplexity ? std::exp(value / weight) : value / weight;
}

}  // namespace lmoe::eval
