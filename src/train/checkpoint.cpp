#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/error.h"
#include "base/files.h"
#include "io/manifest.h"
#include "io/safetensors.h"
#include "train/tensor_bytes.h"

namespace lmoe::train {
namespace {

constexpr const char* kPrefix = "step-";

/// -1 when the name is not one of a checkpoint.
int64_t step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (name.rfind(kPrefix, 0) != 0) return -1;
  int64_t step = -1;
  const char* begin = name.data() + std::string_view(kPrefix).size();
  const char* end = name.data() + name.size();
  const auto read = std::from_chars(begin, end, step);
  return read.ec == std::errc{} && read.ptr == end ? step : -1;
}

void write_optimizer(const fs::path& path, const AdamW& optimizer) {
  std::vector<io::TensorView> views;
  for (const nn::NamedTensor& tensor : optimizer.state())
    views.push_back(view_bytes(tensor.name, tensor.tensor));
  io::write_safetensors(path, views);
}

using Copies = std::vector<std::pair<io::TensorView, at::Tensor>>;

Copies match_optimizer(io::WeightSource& file, const AdamW& optimizer) {
  Copies copies;
  for (const nn::NamedTensor& tensor : optimizer.state())
    copies.emplace_back(file.claim(tensor.name, tensor.tensor.sizes().vec()), tensor.tensor);
  file.check_all_claimed("resume");
  return copies;
}

/// `loaded` keeps the bytes alive.
Copies match_parameters(const std::vector<nn::NamedTensor>& loaded, const AdamW& optimizer) {
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
    copies.emplace_back(view_bytes(loaded[i].name, loaded[i].tensor), wanted[i].tensor);
  }
  return copies;
}

}  // namespace

std::string checkpoint_name(int64_t step) {
  char text[32];
  std::snprintf(text, sizeof(text), "%s%06lld", kPrefix, static_cast<long long>(step));
  return text;
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory(error) && step_of(entry.path()) >= 0) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(),
            [](const fs::path& a, const fs::path& b) { return step_of(a) > step_of(b); });
  return found;
}

void write_mixture_files(const fs::path& folder,
                         const mixture::Mixture& mixture,
                         const std::string& base_name,
                         const std::map<std::string, std::string>& side_files) {
  mixture.save(folder, base_name);
  for (const auto& [name, content] : side_files) write_file_atomically(folder / name, content);
}

void write_checkpoint(const fs::path& target,
                      const TrainerState& state,
                      const mixture::Mixture& mixture,
                      const AdamW& optimizer,
                      const std::map<std::string, std::string>& side_files) {
  FolderWriter writer(target, /*replace=*/true);
  write_mixture_files(writer.path(), mixture, state.base_name, side_files);
  write_optimizer(writer.path() / "optimizer.safetensors", optimizer);
  write_file_atomically(writer.path() / "trainer_state.json",
                        write_trainer_state(state).dump(2) + "\n");
  io::write_manifest(writer.path());
  writer.commit();
}

void restore_tensors(const fs::path& checkpoint,
                     const std::vector<nn::ProjectionGroup*>& groups,
                     AdamW& optimizer) {
  const auto file = io::SafetensorsFile::open(checkpoint / "optimizer.safetensors");
  const auto loaded = mixture::Mixture::load(checkpoint, groups);
  const std::vector<nn::NamedTensor> parameters = loaded->parameters();
  const Copies parameter_copies = match_parameters(parameters, optimizer);
  const Copies moment_copies = match_optimizer(*file, optimizer);
  const c10::NoGradGuard no_grad;
  for (const Copies* copies : {&parameter_copies, &moment_copies})
    for (const auto& [view, tensor] : *copies) copy_bytes(view, tensor);
}

void prune_checkpoints(const fs::path& folder, int64_t keep) {
  const std::vector<fs::path> all = list_checkpoints(folder);
  for (size_t i = static_cast<size_t>(keep); i < all.size(); ++i) {
    // Renamed first, so that a folder with a checkpoint's name is never half removed.
    const fs::path old = all[i].string() + ".old";
    std::error_code error;
    fs::rename(all[i], old, error);
    if (!error) fs::remove_all(old, error);
  }
}

}  // namespace lmoe::train
