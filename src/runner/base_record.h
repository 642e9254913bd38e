// base.json of a run folder: which base model a run was trained on.
#pragma once

#include <filesystem>

#include "arch/base_model.h"
#include "base/json.h"

namespace lmoe::runner {

/// Name, `hash`, which is the content of `base`, and the sizes that adapters depend on.
Json describe_base(const arch::BaseModel& base, const arch::ContentHash& hash);

/// base.json of `run`. Throws kNotFound (no such file: not a run folder), kCorruptData.
Json read_base_record(const std::filesystem::path& run);

/// Throws kInvalidArgument naming the first difference between the record of `run` and `base`.
void check_same_base(const Json& record,
                     const arch::BaseModel& base,
                     const std::filesystem::path& run,
                     const arch::HashProgress& progress = {});

}  // namespace lmoe::runner
