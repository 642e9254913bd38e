#include "mixture/expert_bank.h"
#include "mixture/mix_and_project.h"
#include "mixture/mix_selected.h"

namespace lmoe::mixture {
namespace {

/// Rows of A run over projection, expert, rank; columns of each B over expert, rank.
class LoraBank : public ExpertBank {
 public:
  LoraBank(const spec::MixtureSpec& spec,
           std::vector<BankTarget> targets,
           const BankShape& shape,
           Rng& rng)
      : ExpertBank(spec,
                   std::move(targets),
                   shape,
                   shape.experts * spec.experts.rank,
                   shape.experts * spec.experts.rank,
                   rng),
        apply_(spec.apply),
        folder_rank_(spec.experts.kind == spec::ExpertKind::kRankOne ? shape.experts
                                                                     : spec.experts.rank) {}

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    if (!input.down.defined())
      return mix_selected(input.x, input.weights, a(), ups(a().scalar_type()), outputs, scaling());
    return mix_and_project(input.down, input.weights, ups(input.down.scalar_type()), outputs,
                           apply_, scaling());
  }

  ExpertFactors folder_factors(size_t target, int64_t folder) const override {
    const int64_t own_rows = a().size(0) / projections();
    const int64_t first_row = static_cast<int64_t>(target) * own_rows + folder * folder_rank_;
    return {a().narrow(/*dim=*/0, first_row, folder_rank_),
            b(target).narrow(/*dim=*/1, folder * folder_rank_, folder_rank_),
            {}};
  }

 private:
  spec::Apply apply_;
  int64_t folder_rank_;
};

}  // namespace

std::unique_ptr<ExpertBank> make_lora_bank(const spec::MixtureSpec& spec,
                                           std::vector<BankTarget> targets,
                                           const BankShape& shape,
                                           Rng& rng) {
  return std::make_unique<LoraBank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
