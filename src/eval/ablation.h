// What each expert is worth: the task again with one expert switched off.
//
// Runs on the task's first `ablation_records` records. Besides the score the loss of the right
// answers is taken, which shows a change long before a score does.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/interval.h"
#include "eval/task_score.h"

namespace lmoe::eval {

struct ExpertAblation {
  std::string expert;
  double score = 0.0;
  double score_change = 0.0;  ///< score without the expert minus score with all
  Interval interval;          ///< of score_change, paired bootstrap
  double loss_change = 0.0;   ///< nats per token; positive: the expert helps
};

struct Ablation {
  int64_t n = 0;
  double score = 0.0;  ///< with all experts, same records
  double loss = 0.0;
  std::vector<ExpertAblation> experts;
};

/// All experts are on again afterwards, also when this throws.
Ablation measure_ablation(const EvalContext& context, const EvalTask& task);

Json ablation_json(const Ablation& ablation);

}  // namespace lmoe::eval
