// base.json of a run folder: which base model a run was trained on.
#pragma once

#include <filesystem>

#include "arch/base_model.h"
#include "arch/frozen_weights.h"
#include "base/json.h"

namespace lmoe::runner {

/// Name, `hash`, which is the content of `base`, the sizes that adapters depend on, and how weights
/// were rounded, if they were.
Json describe_base(const arch::BaseModel& base,
                   const arch::ContentHash& hash,
                   arch::FrozenWeights frozen = arch::FrozenWeights::kDense);

/// How the base of a record has to be kept to be the one that was trained on: rounded, or dense.
/// Throws kCorruptData.
arch::FrozenWeights frozen_weights_of(const Json& record);

/// base.json of `run`. Throws kNotFound (no such file: not a run folder), kCorruptData.
Json read_base_record(const std::filesystem::path& run);

/// Throws kInvalidArgument naming the first difference between the record of `run` and `base`.
void check_same_base(const Json& record,
                     const arch::BaseModel& base,
                     const std::filesystem::path& run,
                     const arch::HashProgress& progress = {});

}  // namespace lmoe::runner
