#include <ATen/ATen.h>

#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "mixture/mixture.h"
#include "mixture/run_folder.h"
#include "mixture/site_bank.h"
#include "nn/tensor_bytes.h"

namespace lmoe::mixture {
namespace {

void save_router(const std::vector<std::shared_ptr<Gate>>& gates, const fs::path& path) {
  std::vector<io::TensorView> views;
  for (const auto& gate : gates) {
    const auto stacked = static_cast<int64_t>(gate->sites().size());
    for (const StackedTensor& part : gate->tensors()) {
      const int64_t rows = part.tensor.size(0) / stacked;
      for (int64_t g = 0; g < stacked; ++g) {
        views.push_back(
            nn::view_of(router_tensor(gate->sites()[static_cast<size_t>(g)].name, part.suffix),
                        part.tensor.narrow(/*dim=*/0, g * rows, rows)));
      }
    }
  }
  io::write_safetensors(path, views, {{"format", "pt"}});
}

void save_expert(const std::vector<std::shared_ptr<SiteBank>>& banks,
                 int64_t expert,
                 const io::LoraConfig& config,
                 const fs::path& folder) {
  std::vector<at::Tensor> storage;  // columns of B are copied to become contiguous
  std::vector<io::LoraPair> pairs;
  for (const auto& bank : banks) {
    for (size_t t = 0; t < bank->bank().targets().size(); ++t) {
      const ExpertFactors factors = bank->bank().factors(t, expert);
      storage.push_back(factors.b.detach().contiguous());
      pairs.push_back({bank->bank().targets()[t].module_path, nn::view_of("lora_A", factors.a),
                       nn::view_of("lora_B", storage.back()), bank->bank().scaling()});
    }
  }
  io::write_peft_folder(folder, config, pairs);
}

}  // namespace

void Mixture::save(const fs::path& folder, const std::string& base_model_name) const {
  io::LoraConfig config;
  config.rank = spec_.experts.rank;
  config.alpha = spec_.experts.effective_alpha();
  config.use_rslora = spec_.experts.use_rslora;
  config.target_modules = spec_.target_modules;
  config.base_model_name_or_path = base_model_name;
  const std::vector<std::string> names = spec_.expert_names();
  for (size_t i = 0; i < names.size(); ++i)
    save_expert(banks_, static_cast<int64_t>(i), config, experts_folder(folder) / names[i]);
  if (spec_.has_gate()) save_router(gates(), router_file(folder));
  write_file_atomically(spec_file(folder), yaml_from_json(spec::write_mixture(spec_)));
}

}  // namespace lmoe::mixture
