#include <ATen/ATen.h>

#include <cmath>

#include "mixture/expert_bank.h"
#include "mixture/initial.h"
#include "mixture/mix_and_project.h"
#include "mixture/mix_cores.h"

namespace lmoe::mixture {
namespace {

/// Rows of A run over projection, rank; each B is [out, R]; cores are [P * E, R, R].
class CoreBank : public ExpertBank {
 public:
  CoreBank(const spec::MixtureSpec& spec,
           std::vector<BankTarget> targets,
           const BankShape& shape,
           Rng& rng)
      : ExpertBank(spec, std::move(targets), shape, spec.experts.rank, spec.experts.rank, rng),
        rank_(spec.experts.rank),
        cores_(zero_parameter({projections() * experts(), rank_, rank_}, shape.options)) {
    fill_uniform(cores_.detach(), 1.0 / std::sqrt(static_cast<double>(rank_)), rng);
  }

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    const at::ScalarType dtype = input.down.scalar_type();
    return mix_and_project(mix_cores(input.down, input.weights, cores_.to(dtype)), {}, ups(dtype),
                           outputs, spec::Apply::kDeltas, scaling());
  }

  ExpertFactors folder_factors(size_t target, int64_t /*folder*/) const override {
    return {a().narrow(/*dim=*/0, static_cast<int64_t>(target) * rank_, rank_), b(target), {}};
  }

  std::vector<nn::NamedTensor> other_tensors() const override {
    std::vector<nn::NamedTensor> each;
    for (size_t p = 0; p < targets().size(); ++p)
      each.push_back({targets()[p].site + ".core",
                      cores_.narrow(/*dim=*/0, static_cast<int64_t>(p) * experts(), experts())});
    return each;
  }

  std::vector<nn::NamedTensor> parameters() const override {
    std::vector<nn::NamedTensor> all = ExpertBank::parameters();
    all.push_back({joined_sites() + ".core", cores_});
    return all;
  }

 private:
  int64_t rank_;
  at::Tensor cores_;
};

}  // namespace

std::unique_ptr<ExpertBank> make_core_bank(const spec::MixtureSpec& spec,
                                           std::vector<BankTarget> targets,
                                           const BankShape& shape,
                                           Rng& rng) {
  return std::make_unique<CoreBank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
