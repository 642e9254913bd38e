#include <ATen/ATen.h>

#include <cmath>

#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "mixture/expert_bank.h"
#include "mixture/gate.h"
#include "mixture/mixture.h"
#include "mixture/prompt_bank.h"
#include "mixture/run_folder.h"
#include "nn/tensor_bytes.h"

namespace lmoe::mixture {
namespace {

/// Cuts stacked tensors into those of their sites: `name(site number, suffix)`.
template <class Name>
void add_stacked(const std::vector<StackedTensor>& tensors,
                 int64_t sites,
                 const Name& name,
                 std::vector<io::TensorView>& views) {
  for (const StackedTensor& part : tensors) {
    const int64_t rows = part.tensor.size(0) / sites;
    for (int64_t s = 0; s < sites; ++s)
      views.push_back(nn::view_of(name(static_cast<size_t>(s), part.suffix),
                                  part.tensor.narrow(0, s * rows, rows)));
  }
}

void save_router(const Mixture& mixture, const fs::path& path) {
  std::vector<io::TensorView> views;
  for (const auto& gate : mixture.gates()) {
    add_stacked(
        gate->tensors(), static_cast<int64_t>(gate->owners().size()),
        [&](size_t s, const std::string& suffix) {
          return router_tensor(gate->owners()[s].name, suffix);
        },
        views);
  }
  const std::vector<nn::NamedTensor> common = mixture.common_gate_parameters();
  const std::vector<nn::NamedTensor> buffers = mixture.buffers();
  for (const auto* tensors : {&common, &buffers})
    for (const nn::NamedTensor& one : *tensors) views.push_back(nn::view_of(one.name, one.tensor));
  if (!views.empty()) io::write_safetensors(path, views, {{"format", "pt"}});
}

void save_other_tensors(const std::vector<const ExpertBank*>& banks, const fs::path& path) {
  std::vector<at::Tensor> storage;  // a B is held transposed
  std::vector<io::TensorView> views;
  for (const ExpertBank* bank : banks) {
    for (const nn::NamedTensor& other : bank->other_tensors()) {
      storage.push_back(other.tensor.detach().contiguous());
      views.push_back(nn::view_of(other.name, storage.back()));
    }
  }
  if (!views.empty()) io::write_safetensors(path, views, {{"format", "pt"}});
}

void save_prompts(const PromptBank& bank, const fs::path& path) {
  io::write_safetensors(
      path, {nn::view_of("keys", bank.keys()), nn::view_of("embeddings", bank.embeddings())},
      {{"format", "pt"}});
}

void save_adapter(const spec::MixtureSpec& spec,
                  const std::vector<const ExpertBank*>& banks,
                  int64_t index,
                  const std::string& base_model_name,
                  const fs::path& folder) {
  std::vector<at::Tensor> storage;  // columns of B are copied to become contiguous
  std::vector<io::LoraPair> pairs;
  for (const ExpertBank* bank : banks) {
    if (index >= bank->experts()) continue;  // layers may have fewer experts
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const ExpertFactors factors = bank->folder_factors(t, index);
      storage.push_back(factors.b.detach().contiguous());
      pairs.push_back({bank->targets()[t].module_path,
                       nn::view_of("lora_A", factors.a),
                       nn::view_of("lora_B", storage.back()),
                       bank->scaling(),
                       {}});
      if (factors.magnitude.defined())
        pairs.back().magnitude = nn::view_of("lora_magnitude_vector", factors.magnitude);
    }
  }
  io::LoraConfig config;
  config.rank = pairs.front().a.shape[0];
  config.use_rslora = spec.experts.use_rslora;
  config.use_dora = spec.experts.use_dora;
  // Of a folder by itself, alpha over its own rank has to give the scaling.
  const auto rank = static_cast<double>(config.rank);
  const bool says_alpha =
      spec.experts.scale_by == spec::ScaleBy::kRank && config.rank == spec.experts.rank;
  config.alpha = says_alpha ? spec.experts.effective_alpha()
                            : spec.scaling() * (config.use_rslora ? std::sqrt(rank) : rank);
  const bool is_everywhere =
      spec.experts.count_by_layer.empty() && spec.layers_to_transform.empty();
  if (is_everywhere) config.target_modules = spec.target_modules;
  config.base_model_name_or_path = base_model_name;
  io::write_peft_folder(folder, config, pairs);
}

}  // namespace

void Mixture::save(const fs::path& folder, const std::string& base_model_name) const {
  const std::vector<std::string> names = spec_.adapter_folders();
  for (size_t i = 0; i < names.size(); ++i)
    save_adapter(spec_, expert_banks(), static_cast<int64_t>(i), base_model_name,
                 experts_folder(folder) / names[i]);
  if (spec_.has_plain())
    save_adapter(spec_.plain_part(), plain_expert_banks(), /*index=*/0, base_model_name,
                 experts_folder(folder) / spec::kPlainFolder);
  save_router(*this, router_file(folder));
  save_other_tensors(expert_banks(), other_tensors_file(folder));
  if (prompt_bank_) save_prompts(*prompt_bank_, prompts_file(folder));
  write_file_atomically(spec_file(folder), yaml_from_json(spec::write_mixture(spec_)));
}

}  // namespace lmoe::mixture
