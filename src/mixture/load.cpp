#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "io/peft_folder.h"
#include "io/safetensors.h"
#include "mixture/mixture.h"
#include "mixture/run_folder.h"
#include "mixture/site_bank.h"
#include "nn/tensor_bytes.h"

namespace lmoe::mixture {
namespace {

constexpr const char* kOtherBase = "; it was trained on another base model";

std::string shape_text(int64_t rows, int64_t columns) {
  return concat("[", rows, ", ", columns, "]");
}

spec::MixtureSpec load_spec(const fs::path& path) {
  const ConfigNode root = read_config_file(path);
  LMOE_CHECK_DATA(root.is_map(), "[load_mixture] ", path.string(), ": expected a mapping of keys");
  ReadReport report;
  try {
    return spec::read_mixture(root, report);
  } catch (const Error& error) {
    fail(ErrorCode::kCorruptData, "[load_mixture] ", path.string(), ": ", error.what());
  }
}

/// One folder per expert and none besides.
void check_expert_folders(const spec::MixtureSpec& spec, const fs::path& folder) {
  const std::vector<std::string> names = spec.expert_names();
  for (const std::string& name : names) {
    LMOE_CHECK_DATA(fs::is_directory(folder / name), "[load_mixture] ", (folder / name).string(),
                    " is missing: mixture.yaml names ", names.size(), " experts, \"", name,
                    "\" among them");
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    LMOE_CHECK_DATA(std::find(names.begin(), names.end(), name) != names.end(), "[load_mixture] ",
                    entry.path().string(), " is not among the experts of mixture.yaml");
  }
}

/// Copies one adapter folder into the parameters of one expert.
class ExpertLoader {
 public:
  ExpertLoader(const Mixture& mixture, io::LoraFolder folder, const fs::path& path)
      : mixture_(mixture),
        folder_(std::move(folder)),
        where_("[load_mixture] " + path.string() + ": ") {
    for (const io::LoraPair& pair : folder_.pairs) by_module_[pair.module] = &pair;
  }

  void load(int64_t expert) {
    check_modules();
    for (const auto& bank : mixture_.banks()) {
      for (size_t t = 0; t < bank->bank().targets().size(); ++t) {
        const BankTarget& target = bank->bank().targets()[t];
        const io::LoraPair& pair = *by_module_.at(target.module_path);
        const ExpertFactors factors = bank->bank().factors(t, expert);
        check_pair(pair, bank->bank(), factors);
        nn::copy_from_view(pair.a, factors.a);
        nn::copy_from_view(pair.b, factors.b);
      }
    }
  }

 private:
  void check_modules() const {
    const std::vector<std::string> paths = mixture_.target_paths();
    for (const std::string& path : paths) {
      LMOE_CHECK_DATA(by_module_.count(path) != 0, where_, "has no module ", path, ": it adapts ",
                      by_module_.size(), " modules, this model with mixture.yaml has ",
                      paths.size(), kOtherBase, ", or files are mixed up");
    }
    for (const io::LoraPair& pair : folder_.pairs) {
      LMOE_CHECK_DATA(std::find(paths.begin(), paths.end(), pair.module) != paths.end(), where_,
                      "module ", pair.module, " fits nothing: it adapts ", by_module_.size(),
                      " modules, this model with mixture.yaml has ", paths.size(), kOtherBase,
                      ", or files are mixed up");
    }
  }

  void check_pair(const io::LoraPair& pair,
                  const ExpertBank& bank,
                  const ExpertFactors& factors) const {
    const auto check = [&](const io::TensorView& given, const at::Tensor& own, const char* factor) {
      LMOE_CHECK_DATA(given.shape == own.sizes().vec(), where_, pair.module, ".", factor,
                      " has shape ", given.shape_text(), ", expected ",
                      shape_text(own.size(0), own.size(1)), " (rank ", bank.rank(),
                      " in mixture.yaml)", kOtherBase, " or has another rank");
    };
    check(pair.a, factors.a, "lora_A");
    check(pair.b, factors.b, "lora_B");
    LMOE_CHECK_DATA(std::abs(pair.scaling - bank.scaling()) <= 1e-9 * bank.scaling(), where_,
                    pair.module, " has scaling ", pair.scaling,
                    " in adapter_config.json, expected ", bank.scaling(), " as in mixture.yaml");
  }

  const Mixture& mixture_;
  io::LoraFolder folder_;
  std::string where_;
  std::map<std::string, const io::LoraPair*> by_module_;
};

void load_router(const Mixture& mixture, const fs::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  for (const auto& gate : mixture.gates()) {
    const auto stacked = static_cast<int64_t>(gate->sites().size());
    for (const StackedTensor& part : gate->tensors()) {
      const int64_t rows = part.tensor.size(0) / stacked;
      for (int64_t g = 0; g < stacked; ++g) {
        const std::string name =
            router_tensor(gate->sites()[static_cast<size_t>(g)].name, part.suffix);
        nn::copy_from_view(file->claim(name, {rows, part.tensor.size(1)}),
                           part.tensor.narrow(/*dim=*/0, g * rows, rows));
      }
    }
  }
  file->check_all_claimed("load_mixture");
}

/// Gradient checks train in float64; everything else is float32.
at::ScalarType parameter_type(const io::LoraFolder& folder) {
  return folder.pairs.front().a.dtype == io::DType::kF64 ? at::kDouble : at::kFloat;
}

}  // namespace

std::unique_ptr<Mixture> Mixture::load(const fs::path& folder,
                                       const std::vector<nn::ProjectionGroup*>& groups) {
  const spec::MixtureSpec spec = load_spec(spec_file(folder));
  check_expert_folders(spec, experts_folder(folder));
  const std::vector<std::string> names = spec.expert_names();
  std::unique_ptr<Mixture> mixture;
  for (size_t i = 0; i < names.size(); ++i) {
    const fs::path path = experts_folder(folder) / names[i];
    io::LoraFolder adapter = io::read_peft_folder(path);
    if (!mixture) {
      try {
        mixture = std::make_unique<Mixture>(spec, groups, /*seed=*/0, parameter_type(adapter));
      } catch (const Error& error) {
        fail(ErrorCode::kCorruptData, "[load_mixture] ", folder.string(), ": ", error.what());
      }
    }
    ExpertLoader(*mixture, std::move(adapter), path).load(static_cast<int64_t>(i));
  }
  LMOE_CHECK_DATA(spec.has_gate() || !fs::exists(router_file(folder)), "[load_mixture] ",
                  router_file(folder).string(),
                  " is there, but mixture.yaml has gate.source constant");
  if (spec.has_gate()) load_router(*mixture, router_file(folder));
  return mixture;
}

}  // namespace lmoe::mixture
