// What is measured, and one outcome per record.
#pragma once

#include <span>
#include <vector>

#include "base/options.h"
#include "data/record.h"

namespace lmoe::eval {

enum class Metric {
  kAuto,  ///< choices → choice, plain text → perplexity, preferences → pair_accuracy, everything
          ///< else → exact_match
  kExactMatch,    ///< greedy answer equals the expected one
  kChoice,        ///< the right choice is the most likely one
  kPerplexity,    ///< of the answers, or of plain text
  kPairAccuracy,  ///< of a reward model: the chosen answer has the greater reward
};
/// "auto", "exact_match", "choice", "perplexity", "pair_accuracy".
std::span<const EnumName<Metric>> enum_names(Metric);

/// The metric for records of a type; `wanted` wins unless it is kAuto.
Metric resolve_metric(Metric wanted, data::RecordType type);

/// Accuracy: value 1 or 0, weight 1. Perplexity: value is the summed negative log-likelihood in
/// nats, weight the number of tokens.
struct Outcome {
  double value = 0.0;
  double weight = 1.0;
};

/// Σ value / Σ weight, for perplexity its exponential. Outcomes of weight 0 count nothing. Throws
/// kInvalidArgument when nothing has weight.
double score_of(Metric metric, std::span<const Outcome> outcomes);

inline bool higher_is_better(Metric metric) { return metric != Metric::kPerplexity; }

}  // namespace lmoe::eval
