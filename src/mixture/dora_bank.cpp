#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <limits>

#include "mixture/expert_bank.h"
#include "mixture/initial.h"
#include "mixture/mix_and_project.h"
#include "nn/linear.h"

namespace lmoe::mixture {
namespace {

/// Each expert is the projection whose rows are m / |W + s B A| times those of W + s B A:
///
///   y += sum_i w_i ((c_i - 1) W x + c_i s B_i A_i x),   c_i = m_i / |W + s B_i A_i| per row
///
/// The norms are constants to autograd, as in PEFT. A's and B's lie as in the LoRA bank.
class DoraBank : public ExpertBank {
 public:
  DoraBank(const spec::MixtureSpec& spec,
           std::vector<BankTarget> targets,
           const BankShape& shape,
           Rng& rng)
      : ExpertBank(spec,
                   targets,
                   shape,
                   shape.experts * spec.experts.rank,
                   shape.experts * spec.experts.rank,
                   rng),
        rank_(spec.experts.rank) {
    const c10::NoGradGuard no_grad;
    for (size_t p = 0; p < targets.size(); ++p) {
      squared_rows_.push_back(targets[p].weight.borrow().to(shape.options).square().sum(/*dim=*/1));
      magnitudes_.push_back(norms(p).requires_grad_(true));
    }
  }

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    std::vector<at::Tensor> adapted, ups;
    for (size_t p = 0; p < outputs.size(); ++p) {
      const at::Tensor ratio = magnitudes_[p] / norms(p);
      const at::Tensor share = base_share(input.weights, p, ratio).to(outputs[p].scalar_type());
      adapted.push_back(outputs[p] + frozen_part(input, p, outputs[p]) * share);
      const at::Tensor up = b(p).view({b(p).size(0), experts(), rank_});
      ups.push_back((up * ratio.t().unsqueeze(/*dim=*/-1))
                        .reshape(b(p).sizes())
                        .to(input.down.scalar_type()));
    }
    return mix_and_project(input.down, input.weights, ups, adapted, spec::Apply::kDeltas,
                           scaling());
  }

  ExpertFactors folder_factors(size_t target, int64_t folder) const override {
    return {rows_of(target).narrow(/*dim=*/0, folder * rank_, rank_),
            b(target).narrow(/*dim=*/1, folder * rank_, rank_), magnitudes_[target][folder]};
  }

  std::vector<nn::NamedTensor> parameters() const override {
    std::vector<nn::NamedTensor> all = ExpertBank::parameters();
    for (size_t p = 0; p < magnitudes_.size(); ++p)
      all.push_back({targets()[p].site + ".lora_magnitude_vector", magnitudes_[p]});
    return all;
  }

 private:
  /// The A's of one projection [E * R, in].
  at::Tensor rows_of(size_t target) const {
    const int64_t rows = experts() * rank_;
    return a().narrow(/*dim=*/0, static_cast<int64_t>(target) * rows, rows);
  }

  /// |W + s B_i A_i| of each row [E, out], without making W + s B A:
  /// |W|^2 + 2 s <B, W A^T> + s^2 <B, B A A^T>.
  at::Tensor norms(size_t target) const {
    const c10::NoGradGuard no_grad;
    const nn::FrozenMatrix& weight = targets()[target].weight;
    const int64_t out = weight.rows();
    const at::Tensor rows = rows_of(target);
    const auto by_expert = [&](const at::Tensor& columns) {
      return columns.view({out, experts(), rank_}).transpose(0, 1);
    };
    const at::Tensor up = by_expert(b(target));
    const at::Tensor cross =
        by_expert(at::linear(weight.borrow(), rows.to(weight.dtype())).to(rows.scalar_type()));
    const at::Tensor each = rows.view({experts(), rank_, rows.size(1)});
    const at::Tensor gram = at::bmm(each, each.transpose(1, 2));
    const at::Tensor added =
        (up * (2 * scaling() * cross + scaling() * scaling() * at::bmm(up, gram))).sum(/*dim=*/-1);
    // Rows of zeros have no direction; any length keeps them zero.
    return (squared_rows_[target] + added).clamp_min(std::numeric_limits<float>::min()).sqrt();
  }

  /// W x without bias [N, out]; of x after dropout, as PEFT has it.
  at::Tensor frozen_part(const BankInput& input, size_t p, const at::Tensor& output) const {
    const BankTarget& target = targets()[p];
    if (input.is_dropped)
      return nn::frozen_linears(
          input.x, {{target.site, target.module_path, target.weight, at::Tensor()}})[0];
    return target.bias.defined() ? output - target.bias : output;
  }

  /// sum_i w_i (c_i - 1): [N, out], or [1, out] without a gate.
  static at::Tensor base_share(const at::Tensor& weights, size_t p, const at::Tensor& ratio) {
    at::Tensor change = ratio - 1;
    if (!weights.defined()) return change;
    const int64_t gate = weights.size(1) == 1 ? 0 : static_cast<int64_t>(p);
    return at::matmul(weights.select(/*dim=*/1, gate), change);
  }

  int64_t rank_;
  std::vector<at::Tensor> squared_rows_;  ///< per projection [out]
  std::vector<at::Tensor> magnitudes_;    ///< per projection [E, out]
};

}  // namespace

std::unique_ptr<ExpertBank> make_dora_bank(const spec::MixtureSpec& spec,
                                           std::vector<BankTarget> targets,
                                           const BankShape& shape,
                                           Rng& rng) {
  return std::make_unique<DoraBank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
