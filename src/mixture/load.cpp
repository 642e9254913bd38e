#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

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
    fail(ErrorCode::kCorruptData, "[load_mixture] ", path.string(), ": ",
         without_operation(error.what()));
  }
}

/// One folder per expert and none besides.
void check_expert_folders(const spec::MixtureSpec& spec, const fs::path& folder) {
  const std::vector<std::string> names = spec.adapter_folders();
  for (const std::string& name : names) {
    LMOE_CHECK_DATA(fs::is_directory(folder / name), "[load_mixture] ", (folder / name).string(),
                    " is missing: mixture.yaml asks for ", names.size(), " adapters, \"", name,
                    "\" among them");
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    LMOE_CHECK_DATA(std::find(names.begin(), names.end(), name) != names.end(), "[load_mixture] ",
                    entry.path().string(), " is not among the experts of mixture.yaml");
  }
}

/// Copies one adapter folder into the parameters it stands for.
class AdapterLoader {
 public:
  AdapterLoader(const Mixture& mixture, io::LoraFolder folder, const fs::path& path, int64_t index)
      : mixture_(mixture),
        folder_(std::move(folder)),
        where_("[load_mixture] " + path.string() + ": "),
        index_(index) {
    for (const io::LoraPair& pair : folder_.pairs) by_module_[pair.module] = &pair;
  }

  void load() {
    check_modules();
    for_each_target([&](const ExpertBank& bank, size_t t) {
      const io::LoraPair& pair = *by_module_.at(bank.targets()[t].module_path);
      const ExpertFactors factors = bank.folder_factors(t, index_);
      check_pair(pair, bank, factors);
      copy_a(pair, factors.a);
      nn::copy_from_view(pair.b, factors.b);
    });
  }

 private:
  /// Of the layers that have this expert.
  template <class Visit>
  void for_each_target(const Visit& visit) const {
    for (const auto& site : mixture_.banks()) {
      if (index_ >= site->bank().experts()) continue;
      for (size_t t = 0; t < site->bank().targets().size(); ++t) visit(site->bank(), t);
    }
  }

  void check_modules() const {
    std::set<std::string> paths;
    for_each_target(
        [&](const ExpertBank& bank, size_t t) { paths.insert(bank.targets()[t].module_path); });
    for (const std::string& path : paths) {
      LMOE_CHECK_DATA(by_module_.count(path) != 0, where_, "has no module ", path, ": it adapts ",
                      by_module_.size(), " modules, this model with mixture.yaml has ",
                      paths.size(), kOtherBase, ", or files are mixed up");
    }
    for (const io::LoraPair& pair : folder_.pairs) {
      LMOE_CHECK_DATA(paths.count(pair.module) != 0, where_, "module ", pair.module,
                      " fits nothing: it adapts ", by_module_.size(),
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
                      shape_text(own.size(0), own.size(1)), " (rank ", factors.a.size(0),
                      " in mixture.yaml)", kOtherBase, " or has another rank");
    };
    check(pair.a, factors.a, "lora_A");
    check(pair.b, factors.b, "lora_B");
    LMOE_CHECK_DATA(std::abs(pair.scaling - bank.scaling()) <= 1e-9 * bank.scaling(), where_,
                    pair.module, " has scaling ", pair.scaling,
                    " in adapter_config.json, expected ", bank.scaling(), " as in mixture.yaml");
  }

  /// Experts that share one A carry a copy each; the copies must agree.
  void copy_a(const io::LoraPair& pair, const at::Tensor& a) const {
    const bool is_first = index_ == 0;
    if (is_first || mixture_.spec().experts.kind != spec::ExpertKind::kSharedA) {
      nn::copy_from_view(pair.a, a);
      return;
    }
    const at::Tensor given = at::empty_like(a);
    nn::copy_from_view(pair.a, given);
    LMOE_CHECK_DATA(at::equal(given, a), where_, pair.module,
                    ".lora_A differs from that of the first expert, but mixture.yaml has "
                    "experts.kind shared_a");
  }

  const Mixture& mixture_;
  io::LoraFolder folder_;
  std::string where_;
  int64_t index_;
  std::map<std::string, const io::LoraPair*> by_module_;
};

/// Claims the tensors of all sites of stacked ones: `name(site number, suffix)`.
template <class Name>
void load_stacked(io::SafetensorsFile& file,
                  const std::vector<StackedTensor>& tensors,
                  int64_t sites,
                  const Name& name) {
  for (const StackedTensor& part : tensors) {
    const int64_t rows = part.tensor.size(0) / sites;
    for (int64_t s = 0; s < sites; ++s) {
      const at::Tensor own = part.tensor.narrow(/*dim=*/0, s * rows, rows);
      nn::copy_from_view(file.claim(name(static_cast<size_t>(s), part.suffix), own.sizes().vec()),
                         own);
    }
  }
}

void load_router(const Mixture& mixture, const fs::path& path) {
  const auto file = io::SafetensorsFile::open(path);
  for (const auto& gate : mixture.gates()) {
    load_stacked(*file, gate->tensors(), static_cast<int64_t>(gate->sites().size()),
                 [&](size_t s, const std::string& suffix) {
                   return router_tensor(gate->sites()[s].name, suffix);
                 });
  }
  for (const nn::NamedTensor& buffer : mixture.buffers())
    nn::copy_from_view(file->claim(buffer.name, buffer.tensor.sizes().vec()), buffer.tensor);
  file->check_all_claimed("load_mixture");
}

void load_other_tensors(const Mixture& mixture, const fs::path& path) {
  const bool has_any = mixture.spec().experts.kind == spec::ExpertKind::kCore;
  LMOE_CHECK_DATA(has_any || !fs::exists(path), "[load_mixture] ", path.string(),
                  " is there, but mixture.yaml has experts.kind ",
                  enum_name(mixture.spec().experts.kind));
  if (!has_any) return;
  const auto file = io::SafetensorsFile::open(path);
  for (const auto& site : mixture.banks()) {
    const ExpertBank& bank = site->bank();
    load_stacked(
        *file, bank.other_tensors(), static_cast<int64_t>(bank.targets().size()),
        [&](size_t s, const std::string& suffix) { return bank.targets()[s].site + "." + suffix; });
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
  const std::vector<std::string> names = spec.adapter_folders();
  std::unique_ptr<Mixture> mixture;
  for (size_t i = 0; i < names.size(); ++i) {
    const fs::path path = experts_folder(folder) / names[i];
    io::LoraFolder adapter = io::read_peft_folder(path);
    if (!mixture) {
      try {
        mixture = std::make_unique<Mixture>(spec, groups, /*seed=*/0, parameter_type(adapter));
      } catch (const Error& error) {
        fail(ErrorCode::kCorruptData, "[load_mixture] ", folder.string(), ": ",
             without_operation(error.what()));
      }
    }
    AdapterLoader(*mixture, std::move(adapter), path, static_cast<int64_t>(i)).load();
  }
  LMOE_CHECK_DATA(spec.has_gate() || !fs::exists(router_file(folder)), "[load_mixture] ",
                  router_file(folder).string(),
                  " is there, but mixture.yaml has gate.source constant");
  if (spec.has_gate()) load_router(*mixture, router_file(folder));
  load_other_tensors(*mixture, other_tensors_file(folder));
  return mixture;
}

}  // namespace lmoe::mixture
