// The training log (log.jsonl, one JSON object per line) as the report reads it.
#pragma once

#include <string_view>

#include "base/json.h"

namespace lmoe::report {

/// Entries ordered by step, each with `step` and whatever of these was logged: total_steps, loss,
/// eval_loss, lr, epoch, tokens_per_second, total_tokens, grad_norm, peak_memory_bytes,
/// gate_entropy [site], load [site][expert], and any other key as it is. `current_steps`,
/// `throughput` and `learning_rate` are read as step, tokens_per_second and lr.
///
/// Lines of one step become one entry. A step below the last one means that the run was resumed
/// from there: what was logged after it is dropped. Above `max_entries` neighbours are joined:
/// `loss` becomes their mean, everything else is the last that was logged.
///
/// A last line without its end is ignored (the run was killed while writing it). Throws
/// kCorruptData with the line number for anything else that is no object with a step.
Json log_from_jsonl(std::string_view jsonl, size_t max_entries = 600);

}  // namespace lmoe::report
