// What a checkpoint knows besides tensors: trainer_state.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "arch/content_hash.h"
#include "base/json.h"
#include "recipe/recipe.h"

namespace lmoe::train {

struct TrainerState {
  int64_t step = 0;  ///< steps done
  int64_t total_steps = 0;
  int64_t total_tokens = 0;
  int64_t labelled_tokens = 0;
  int64_t watchdog_count = 0;
  double elapsed_seconds = 0.0;
  Json data;    ///< RowStream::state
  Json config;  ///< effective_config
  std::string base_name;
  arch::ContentHash base_hash;
  std::string dtype;    ///< of the frozen model
  int64_t threads = 0;  ///< another number may change the last bits of sums
};

Json write_trainer_state(const TrainerState& state);
/// Throws kNotFound or kCorruptData naming the file and the field.
TrainerState read_trainer_state(const std::filesystem::path& checkpoint);

/// Throws kInvalidArgument naming what differs between the checkpoint and the run that wants to go
/// on: base model, type, or a key that changes what is learned. Another number of threads is
/// logged.
void check_same_run(const TrainerState& saved, const TrainerState& now);

}  // namespace lmoe::train
