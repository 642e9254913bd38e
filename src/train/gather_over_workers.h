// The gradients of one optimizer step, gathered by all workers of a run.
#pragma once

#include <vector>

#include "distributed/process_group.h"
#include "nn/projection.h"
#include "train/gradient_step.h"

namespace lmoe::train {

/// `gather_gradients` with the micro-batches dealt out to the workers, then sums over all of them:
/// gradients and result are those of the whole step, and the same bits in every worker. Balance
/// losses stay those of single micro-batches, so N workers with G micro-batches each learn what one
/// with N·G does, up to the order of sums. `parameters` are all that have gradients; their sums
/// begin during the last backward (sum_of_gradients.h) but with recomputed layers, whose backward
/// hands out all gradients at its end, and experts that are drawn. When one worker is told to stop,
/// all are interrupted; when one fails, all do (all_or_none.h); then gradients are not sums.
GradientResult gather_over_workers(distributed::ProcessGroup& group,
                                   GradientStep step,
                                   const std::vector<nn::NamedTensor>& parameters);

}  // namespace lmoe::train
