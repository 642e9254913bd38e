#include <ATen/ATen.h>

#include "mixture/expert_bank.h"
#include "mixture/mix_and_project.h"

namespace lmoe::mixture {
namespace {

/// Rows of A run over projection, rank; columns of each B over expert, rank.
class SharedABank : public ExpertBank {
 public:
  SharedABank(const spec::MixtureSpec& spec,
              std::vector<BankTarget> targets,
              const BankShape& shape,
              Rng& rng)
      : ExpertBank(spec,
                   std::move(targets),
                   shape,
                   spec.experts.rank,
                   shape.experts * spec.experts.rank,
                   rng),
        rank_(spec.experts.rank) {}

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    const at::Tensor& down = input.down;
    const int64_t tokens = down.size(0);
    const at::Tensor u = down.reshape({tokens, projections(), 1, rank_});
    const at::Tensor w = input.weights.to(u.scalar_type()).unsqueeze(/*dim=*/-1);
    const at::Tensor v =
        (w * u).reshape({tokens, projections() * experts() * rank_});  // v_i = w_i u
    return mix_and_project(v, {}, ups(down.scalar_type()), outputs, spec::Apply::kDeltas,
                           scaling());
  }

  ExpertFactors folder_factors(size_t target, int64_t folder) const override {
    return {a().narrow(/*dim=*/0, static_cast<int64_t>(target) * rank_, rank_),
            b(target).narrow(/*dim=*/1, folder * rank_, rank_),
            {}};
  }

 private:
  int64_t rank_;
};

}  // namespace

std::unique_ptr<ExpertBank> make_shared_a_bank(const spec::MixtureSpec& spec,
                                               std::vector<BankTarget> targets,
                                               const BankShape& shape,
                                               Rng& rng) {
  return std::make_unique<SharedABank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
