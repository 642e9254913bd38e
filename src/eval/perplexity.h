// Perplexity of the scored tokens: the exponential of their mean negative log-likelihood.
//
// Scored are the labelled tokens of each record: the answer with its end token, or all of a plain
// text but its first token (no end token is added). Records longer than the model are read in
// windows (score_windowed.h).
#pragma once

#include <span>

#include "eval/task_score.h"

namespace lmoe::eval {

/// Extra: `loss` (nats per token), `tokens`, `bytes`, `byte_perplexity` and `bits_per_byte` (of the
/// text of the scored tokens; special tokens count no bytes; null without bytes).
TaskScore measure_perplexity(const EvalContext& context,
                             const EvalTask& task,
                             const std::string& phase);

}  // namespace lmoe::eval
