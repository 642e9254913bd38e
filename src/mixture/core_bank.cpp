#include <ATen/ATen.h>

#include <cmath>

#include "mixture/expert_bank.h"
#include "mixture/initial.h"
#include "mixture/mix_and_project.h"

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

  /// v = sum_i w_i M_i u, by all M_i u at once: no merged core per token.
  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    const at::Tensor& down = input.down;
    const int64_t tokens = down.size(0);
    const at::Tensor u = down.reshape({tokens, projections(), rank_}).transpose(0, 1);
    const at::Tensor stacked = cores_.to(down.scalar_type())
                                   .view({projections(), experts() * rank_, rank_})
                                   .transpose(1, 2);
    const at::Tensor each = at::bmm(u, stacked).view({projections(), tokens, experts(), rank_});
    const at::Tensor w = input.weights.to(down.scalar_type()).transpose(0, 1).unsqueeze(/*dim=*/-1);
    const at::Tensor v =
        (each * w).sum(/*dim=*/2).transpose(0, 1).reshape({tokens, projections() * rank_});
    return mix_and_project(v, {}, ups(down.scalar_type()), outputs, spec::Apply::kDeltas,
                           scaling());
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
