// A run's state on disk: `checkpoints/step-000200/`, complete or absent.
//
// The folder is a run folder (mixture.yaml, router.safetensors, experts/, side files) plus
// optimizer.safetensors and trainer_state.json, with manifest.json written last; it appears under
// its name by one rename.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "mixture/mixture.h"
#include "nn/reward_head.h"
#include "train/optimizer.h"
#include "train/trainer_state.h"

namespace lmoe::train {

/// The mixture, the reward head where there is one, and the side files into an existing folder,
/// without a manifest.
void write_mixture_files(const std::filesystem::path& folder,
                         const mixture::Mixture& mixture,
                         const std::string& base_name,
                         const std::map<std::string, std::string>& side_files,
                         const nn::RewardHead* head = nullptr);

/// Removes the manifest of a run, so that its newest checkpoint stands for it (io::complete_run).
void withdraw_results(const std::filesystem::path& run);

/// The files of `write_mixture_files` and the manifest, last. Cut off at any moment, the run is
/// what it was before or its newest checkpoint, which must be complete and of this state.
void write_results(const std::filesystem::path& run,
                   const mixture::Mixture& mixture,
                   const std::string& base_name,
                   const std::map<std::string, std::string>& side_files,
                   const nn::RewardHead* head = nullptr);

/// Whether the run's own files are whole and its newest checkpoint is that of the last step.
bool is_finished(const std::filesystem::path& run);

/// Replaces a checkpoint of that name. Throws kIo (disk full) and leaves what was there.
void write_checkpoint(const std::filesystem::path& target,
                      const TrainerState& state,
                      const mixture::Mixture& mixture,
                      const Optimizer& optimizer,
                      const std::map<std::string, std::string>& side_files,
                      const nn::RewardHead* head = nullptr);

/// Fills the tensors of `mixture` and of `head`, whose parameters `optimizer` holds, and those of
/// the optimizer. Throws kCorruptData naming a tensor that is missing, left over or misshapen; then
/// neither has changed.
void restore_tensors(const std::filesystem::path& checkpoint,
                     const nn::Sockets& sockets,
                     const mixture::Mixture& mixture,
                     Optimizer& optimizer,
                     const nn::RewardHead* head = nullptr);

/// Removes all but the newest `keep`.
void prune_checkpoints(const std::filesystem::path& folder, int64_t keep);

}  // namespace lmoe::train
