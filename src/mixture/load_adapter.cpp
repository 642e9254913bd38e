#include "mixture/load_adapter.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "nn/tensor_bytes.h"
#include "spec/method_info.h"

namespace lmoe::mixture {
namespace {

constexpr const char* kOtherBase = "; it was trained on another base model";

std::string shape_text(int64_t rows, int64_t columns) {
  return concat("[", rows, ", ", columns, "]");
}

class AdapterLoader {
 public:
  AdapterLoader(const spec::MixtureSpec& spec,
                const std::vector<const ExpertBank*>& banks,
                const io::LoraFolder& folder,
                const fs::path& path,
                int64_t index,
                OtherScaling other_scaling)
      : kind_(spec.experts.kind),
        use_dora_(spec.experts.use_dora),
        banks_(banks),
        folder_(folder),
        where_("[load_mixture] " + path.string() + ": "),
        index_(index),
        other_scaling_(other_scaling) {
    for (const io::LoraPair& pair : folder_.pairs) by_module_[pair.module] = &pair;
  }

  void load() {
    LMOE_CHECK_DATA(folder_.config.use_dora == use_dora_, where_, "use_dora is ",
                    folder_.config.use_dora ? "true" : "false",
                    " in adapter_config.json, expected ", use_dora_ ? "true" : "false",
                    " as in mixture.yaml");
    check_modules();
    for_each_target([&](const ExpertBank& bank, size_t t) {
      const io::LoraPair& pair = *by_module_.at(bank.targets()[t].module_path);
      const ExpertFactors factors = bank.folder_factors(t, index_);
      check_pair(pair, bank, factors);
      const int64_t rank = pair.a.shape[0];
      copy_a(pair, factors.a.narrow(/*dim=*/0, 0, rank));
      nn::copy_from_view(pair.b, factors.b.narrow(/*dim=*/1, 0, rank));
      if (rank < factors.a.size(0)) {
        factors.a.narrow(/*dim=*/0, rank, factors.a.size(0) - rank).zero_();
        factors.b.narrow(/*dim=*/1, rank, factors.a.size(0) - rank).zero_();
      }
      if (pair.magnitude) nn::copy_from_view(*pair.magnitude, factors.magnitude);
      if (!has_scaling_of(pair, bank)) factors.b.mul_(pair.scaling / bank.scaling());
    });
  }

 private:
  /// Of the layers that have this expert.
  template <class Visit>
  void for_each_target(const Visit& visit) const {
    for (const ExpertBank* bank : banks_) {
      if (index_ >= bank->experts()) continue;
      for (size_t t = 0; t < bank->targets().size(); ++t) visit(*bank, t);
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
    const bool may_fill = other_scaling_ == OtherScaling::kIntoB;
    const int64_t rank =
        may_fill ? std::min(pair.a.shape[0], factors.a.size(0)) : factors.a.size(0);
    check(pair.a, factors.a.narrow(/*dim=*/0, 0, rank), "lora_A");
    check(pair.b, factors.b.narrow(/*dim=*/1, 0, rank), "lora_B");
    if (pair.magnitude) {
      LMOE_CHECK_DATA(pair.magnitude->shape[0] == factors.magnitude.size(0), where_, pair.module,
                      ".lora_magnitude_vector has ", pair.magnitude->shape[0],
                      " numbers, expected ", factors.magnitude.size(0), kOtherBase);
    }
    LMOE_CHECK_DATA(other_scaling_ == OtherScaling::kIntoB || has_scaling_of(pair, bank), where_,
                    pair.module, " has scaling ", pair.scaling,
                    " in adapter_config.json, expected ", bank.scaling(), " as in mixture.yaml");
  }

  static bool has_scaling_of(const io::LoraPair& pair, const ExpertBank& bank) {
    return std::abs(pair.scaling - bank.scaling()) <= 1e-9 * bank.scaling();
  }

  /// Experts that share one A carry a copy each; the copies must agree.
  void copy_a(const io::LoraPair& pair, const at::Tensor& a) const {
    const bool is_first = index_ == 0;
    if (is_first || kind_ != spec::ExpertKind::kSharedA) {
      nn::copy_from_view(pair.a, a);
      return;
    }
    const at::Tensor given = at::empty_like(a);
    nn::copy_from_view(pair.a, given);
    LMOE_CHECK_DATA(at::equal(given, a), where_, pair.module,
                    ".lora_A differs from that of the first expert, but mixture.yaml has "
                    "experts.kind shared_a");
  }

  spec::ExpertKind kind_;
  bool use_dora_;
  const std::vector<const ExpertBank*>& banks_;
  const io::LoraFolder& folder_;
  std::string where_;
  int64_t index_;
  OtherScaling other_scaling_;
  std::map<std::string, const io::LoraPair*> by_module_;
};

}  // namespace

void load_adapter(const spec::MixtureSpec& spec,
                  const std::vector<const ExpertBank*>& banks,
                  const io::LoraFolder& adapter,
                  const fs::path& path,
                  int64_t index,
                  OtherScaling other_scaling) {
  const c10::NoGradGuard no_grad;
  AdapterLoader(spec, banks, adapter, path, index, other_scaling).load();
}

spec::MixtureSpec with_adapters(spec::MixtureSpec spec) {
  if (spec.experts.adapters.empty()) return spec;
  std::set<std::string> targets;
  int64_t rank = 0;
  for (const std::string& path : spec.experts.adapters) {
    if (path == spec::kBaseAdapter) continue;
    if (!fs::is_directory(path))
      fail(ErrorCode::kNotFound, "[adapters] no such adapter: given ", path,
           ", expected a PEFT folder; hint: a run's experts are below RUN/experts");
    const io::LoraFolder folder = io::read_peft_folder(path);
    for (const io::LoraPair& pair : folder.pairs) rank = std::max(rank, pair.a.shape[0]);
    const std::set<std::string> own(folder.config.target_modules.begin(),
                                    folder.config.target_modules.end());
    LMOE_CHECK_ARG(targets.empty() || own == targets, "[adapters] ", path,
                   " adapts other projections than those before it: given ", Json(own).dump(),
                   ", expected ", Json(targets).dump());
    targets = own;
  }
  spec.experts.rank = rank;
  spec.target_modules.assign(targets.begin(), targets.end());
  spec::check_mixture(spec, "adapters");
  return spec;
}

namespace {

/// Nothing is added, and no gradient would change that: each factor's is a product with the other.
void clear_expert(const Mixture& mixture, int64_t index) {
  const c10::NoGradGuard no_grad;
  for (const ExpertBank* bank : mixture.expert_banks()) {
    for (size_t t = 0; t < bank->targets().size(); ++t) {
      const ExpertFactors factors = bank->folder_factors(t, index);
      factors.a.zero_();
      factors.b.zero_();
    }
  }
}

}  // namespace

void begin_with_adapters(const Mixture& mixture) {
  const std::vector<std::string>& adapters = mixture.spec().experts.adapters;
  for (size_t i = 0; i < adapters.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    if (adapters[i] == spec::kBaseAdapter)
      clear_expert(mixture, index);
    else
      load_adapter(mixture.spec(), mixture.expert_banks(), io::read_peft_folder(adapters[i]),
                   adapters[i], index, OtherScaling::kIntoB);
  }
}

std::unique_ptr<Mixture> mixture_of_adapter(const fs::path& adapter, const nn::Sockets& sockets) {
  spec::MixtureSpec spec = spec::find_method("lora").preset();
  spec.experts.adapters = {adapter.string()};
  auto mixture = std::make_unique<Mixture>(with_adapters(std::move(spec)), sockets, /*seed=*/0);
  begin_with_adapters(*mixture);
  return mixture;
}

}  // namespace lmoe::mixture
