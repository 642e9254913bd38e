#include "train/checkpoint.h"

#include <c10/core/GradMode.h>

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "io/checkpoints.h"
#include "io/manifest.h"
#include "io/safetensors.h"
#include "nn/tensor_bytes.h"
#include "train/objective.h"

namespace lmoe::train {
namespace {

void write_optimizer(const fs::path& path, const Optimizer& optimizer) {
  std::vector<io::TensorView> views;
  for (const nn::NamedTensor& tensor : optimizer.state())
    views.push_back(nn::view_of(tensor.name, tensor.tensor));
  io::write_safetensors(path, views);
}

using Copies = std::vector<std::pair<io::TensorView, at::Tensor>>;

Copies match_optimizer(io::WeightSource& file, const Optimizer& optimizer) {
  Copies copies;
  for (const nn::NamedTensor& tensor : optimizer.state())
    copies.emplace_back(file.claim(tensor.name, tensor.tensor.sizes().vec()), tensor.tensor);
  file.check_all_claimed("resume");
  return copies;
}

/// `loaded` keeps the bytes alive.
Copies match_parameters(const std::vector<nn::NamedTensor>& loaded, const Optimizer& optimizer) {
  const std::vector<nn::NamedTensor>& wanted = optimizer.parameters();
  LMOE_CHECK_DATA(loaded.size() == wanted.size(), "[resume] the checkpoint has ", loaded.size(),
                  " trained tensors, the run ", wanted.size());
  Copies copies;
  for (size_t i = 0; i < wanted.size(); ++i) {
    LMOE_CHECK_DATA(loaded[i].name == wanted[i].name, "[resume] trained tensor ", i, ": given ",
                    loaded[i].name, ", expected ", wanted[i].name);
    LMOE_CHECK_DATA(loaded[i].tensor.sizes() == wanted[i].tensor.sizes(),
                    "[resume] trained tensor ", loaded[i].name, ": given ",
                    loaded[i].tensor.sizes(), ", expected ", wanted[i].tensor.sizes());
    copies.emplace_back(nn::view_of(loaded[i].name, loaded[i].tensor), wanted[i].tensor);
  }
  return copies;
}

}  // namespace

void write_mixture_files(const fs::path& folder,
                         const mixture::Mixture& mixture,
                         const std::string& base_name,
                         const std::map<std::string, std::string>& side_files,
                         const nn::RewardHead* head) {
  mixture.save(folder, base_name);
  if (head != nullptr) head->save(nn::reward_head_file(folder));
  for (const auto& [name, content] : side_files) write_file_atomically(folder / name, content);
}

void withdraw_results(const fs::path& run) {
  std::error_code error;
  const bool was_there = fs::remove(run / io::kManifestName, error);
  if (error)
    fail(ErrorCode::kIo, "[train] cannot remove ", (run / io::kManifestName).string(), ": ",
         error.message());
  if (was_there) sync_path(run);
}

void write_results(const fs::path& run,
                   const mixture::Mixture& mixture,
                   const std::string& base_name,
                   const std::map<std::string, std::string>& side_files,
                   const nn::RewardHead* head) {
  // While there is no manifest the newest checkpoint stands for the run (io::complete_run).
  withdraw_results(run);
  write_mixture_files(run, mixture, base_name, side_files, head);
  io::write_manifest(run);
}

bool is_finished(const fs::path& run) {
  if (!fs::exists(run / io::kManifestName)) return false;
  try {
    io::check_manifest(run);
    const auto newest = io::newest_complete_checkpoint(run / "checkpoints");
    if (!newest) return false;
    const TrainerState state = read_trainer_state(*newest);
    return state.step == state.total_steps;
  } catch (const Error& error) {
    log().warn("{} is not whole: {}", run.string(), error.what());
    return false;
  }
}

void write_checkpoint(const fs::path& target,
                      const TrainerState& state,
                      const mixture::Mixture& mixture,
                      const Optimizer& optimizer,
                      const std::map<std::string, std::string>& side_files,
                      const nn::RewardHead* head) {
  FolderWriter writer(target, /*replace=*/true);
  write_mixture_files(writer.path(), mixture, state.base_name, side_files, head);
  write_optimizer(writer.path() / "optimizer.safetensors", optimizer);
  write_file_atomically(writer.path() / "trainer_state.json",
                        write_trainer_state(state).dump(2) + "\n");
  io::write_manifest(writer.path());
  writer.commit();
}

void restore_tensors(const fs::path& checkpoint,
                     const nn::Sockets& sockets,
                     const mixture::Mixture& mixture,
                     Optimizer& optimizer,
                     const nn::RewardHead* head) {
  const auto file = io::SafetensorsFile::open(checkpoint / "optimizer.safetensors");
  const auto loaded = mixture::Mixture::load(checkpoint, sockets);
  const auto loaded_head =
      head != nullptr ? nn::RewardHead::load(nn::reward_head_file(checkpoint)) : nullptr;
  const std::vector<nn::NamedTensor> parameters = trained_parameters(*loaded, loaded_head.get());
  const Copies parameter_copies = match_parameters(parameters, optimizer);
  const Copies moment_copies = match_optimizer(*file, optimizer);
  for (const Copies* copies : {&parameter_copies, &moment_copies})
    for (const auto& [view, tensor] : *copies) nn::copy_from_view(view, tensor);
  const auto take_over = [](const std::vector<nn::NamedTensor>& saved,
                            const std::vector<nn::NamedTensor>& own) {
    const c10::NoGradGuard no_grad;
    for (size_t i = 0; i < own.size(); ++i) own[i].tensor.copy_(saved[i].tensor);
  };
  take_over(loaded->parameters(),
            mixture.parameters());  // finished experts, besides what is trained
  take_over(loaded->fixed_tensors(), mixture.fixed_tensors());
  take_over(loaded->buffers(), mixture.buffers());
}

void prune_checkpoints(const fs::path& folder, int64_t keep) {
  const std::vector<fs::path> all = io::list_checkpoints(folder);
  for (size_t i = static_cast<size_t>(keep); i < all.size(); ++i) {
    // Renamed first, so that a folder with a checkpoint's name is never half removed.
    const fs::path old = all[i].string() + ".old";
    std::error_code error;
    fs::rename(all[i], old, error);
    if (!error) fs::remove_all(old, error);
  }
}

}  // namespace lmoe::train
