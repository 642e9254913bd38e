// What a checkpoint knows besides tensors: trainer_state.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "arch/content_hash.h"
#include "arch/frozen_weights.h"
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
  /// What weights of the base were rounded to; empty: they have the values of its file.
  std::optional<arch::FrozenWeights> rounded_to;
  std::string dtype;    ///< of the frozen model
  int64_t threads = 0;  ///< another number may change the last bits of sums
  /// The instruction set that kernels ran with (kernels/target.h), which may as well.
  std::string kernels;
};

Json write_trainer_state(const TrainerState& state);
/// Throws kNotFound or kCorruptData naming the file and the field.
TrainerState read_trainer_state(const std::filesystem::path& checkpoint);

/// Throws kInvalidArgument naming what differs between the checkpoint and the run that wants to go
/// on: base model, how its weights were rounded, type, or a key that changes what is learned. What
/// may change the last bits is logged: another number of threads, another instruction set, and in
/// bfloat16 another frozen_weights.
void check_same_run(const TrainerState& saved, const TrainerState& now);

}  // namespace lmoe::train
