// What one finished run says of itself, in its log.jsonl and eval.json.
#pragma once

#include <filesystem>
#include <optional>

#include "base/json.h"

namespace lmoe::cli {

struct RunFacts {
  std::optional<double> validation_loss;  ///< the last one
  int64_t tokens = 0;                     ///< trained on
  double tokens_per_second = 0.0;         ///< median of what was logged
  double seconds_per_step = 0.0;
  double peak_memory_bytes = 0.0;
  Json evaluation;  ///< the run's result in eval.json; null when it was not scored
};

/// Whether the run's results are whole and of its last step; Ctrl-C leaves results of an earlier
/// one.
bool is_trained(const std::filesystem::path& run);
/// Whether `lmoe eval` has scored the run as it is.
bool is_scored(const std::filesystem::path& run);

/// Empty when it is not trained. Throws kCorruptData.
std::optional<RunFacts> read_run_facts(const std::filesystem::path& run);

}  // namespace lmoe::cli
