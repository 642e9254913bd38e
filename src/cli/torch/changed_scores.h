// What a run scores before and after it was changed without training.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/torch/model_choice.h"
#include "eval/evaluate.h"
#include "mixture/mixture.h"

namespace lmoe::cli {

/// The first `most` records of each file.
std::vector<eval::EvalItem> sample_items(const std::vector<std::string>& files,
                                         const ChosenModel& model,
                                         int64_t most);

/// Scores the model as it is and with `changed`, which is plugged in afterwards; nothing without
/// files. Named "before" and "after".
std::vector<eval::EvalResult> scores_before_and_after(const std::vector<std::string>& files,
                                                      ChosenModel& model,
                                                      mixture::Mixture& changed);

/// Side by side, or as JSON; nothing when there are none.
void print_change(const std::vector<eval::EvalResult>& results, bool as_json);

/// "runs/l-moe-without-math" beside "runs/l-moe", unless `out` names a folder. Throws
/// kInvalidArgument when it exists.
std::filesystem::path changed_run_folder(const std::string& out,
                                         const std::filesystem::path& run,
                                         const std::string& ending,
                                         const char* operation);

}  // namespace lmoe::cli
