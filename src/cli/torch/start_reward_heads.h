// The reward heads of a run as training begins, where another run has some to begin as.
#pragma once

#include <filesystem>

#include "cli/torch/run_setup.h"

namespace lmoe::cli {

/// Each head of `model` begins as one of the run that the recipe's init_reward_head names. Where
/// mixture.adapters are experts of that run (RUN/experts/NAME), a head is that of its expert there;
/// otherwise heads go by position, several that stand together beginning alike. Throws
/// kInvalidArgument for a run of another base or without a reward head, for adapters only some of
/// which are experts of the run, and as nn::RewardHead::begin_with.
void begin_with_heads_of_run(const recipe::Recipe& recipe,
                             const arch::BaseModel& base,
                             ModelSetup& model);

/// The head of `run`, where both are of one shape: one head per expert has another one than an
/// aggregator over them, which begins anew.
void go_on_with_head(const std::filesystem::path& run, ModelSetup& model);

}  // namespace lmoe::cli
