#include "mixture/expert_bank.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/error.h"
#include "mixture/initial.h"
#include "mixture/site_name.h"

namespace lmoe::mixture {

ExpertBank::ExpertBank(const spec::MixtureSpec& spec,
                       std::vector<BankTarget> targets,
                       const BankShape& shape,
                       int64_t rows,
                       int64_t columns,
                       Rng& rng)
    : ExpertBank(spec, std::move(targets), shape) {
  a_ = zero_parameter({projections() * rows, shape.in}, shape.options);
  if (spec.experts.a_density)
    fill_sparse(a_.detach(), *spec.experts.a_density, 1.0 / static_cast<double>(shape.experts),
                rng);
  else
    fill_uniform(a_.detach(), 1.0 / std::sqrt(static_cast<double>(shape.in)), rng);
  a_.requires_grad_(train_a_);
  for (const BankTarget& target : targets_)
    b_.push_back(zero_parameter({columns, target.out}, shape.options));
}

ExpertBank::ExpertBank(const spec::MixtureSpec& spec,
                       std::vector<BankTarget> targets,
                       const BankShape& shape)
    : targets_(std::move(targets)),
      in_(shape.in),
      experts_(shape.experts),
      scaling_(spec.scaling()),
      train_a_(spec.experts.train_a) {}

std::vector<at::Tensor> ExpertBank::ups(at::ScalarType dtype) const {
  std::vector<at::Tensor> converted;
  for (const at::Tensor& rows : b_) converted.push_back(rows.to(dtype).t());
  return converted;
}

std::string ExpertBank::joined_sites() const {
  std::vector<std::string> names;
  for (const BankTarget& target : targets_) names.push_back(target.site);
  return join_sites(names);
}

std::vector<nn::NamedTensor> ExpertBank::fixed_tensors() const {
  if (train_a_ || !a_.defined()) return {};
  return {{joined_sites() + ".lora_A", a_}};
}

std::vector<nn::NamedTensor> ExpertBank::parameters() const {
  std::vector<nn::NamedTensor> named;
  if (train_a_) named.push_back({joined_sites() + ".lora_A", a_});
  for (size_t i = 0; i < targets_.size(); ++i)
    named.push_back({targets_[i].site + ".lora_B", b_[i]});
  return named;
}

void ExpertBank::check_fits(const nn::ProjectionGroup& group) const {
  for (const BankTarget& target : targets_) {
    const bool found = target.linear < group.linears().size() &&
                       group.linears()[target.linear].module_path == target.module_path;
    LMOE_CHECK_ARG(found, "[attach] the model has no ", target.module_path,
                   " where the mixture expects it; it was made for another base model");
    const nn::FrozenMatrix& weight = group.linears()[target.linear].weight;
    LMOE_CHECK_ARG(weight.rows() == target.out && weight.columns() == in_, "[attach] ",
                   target.module_path, " has shape [", weight.rows(), ", ", weight.columns(),
                   "], the mixture expects [", target.out, ", ", in_,
                   "]; it was made for another base model");
  }
}

std::unique_ptr<ExpertBank> make_expert_bank(const spec::MixtureSpec& spec,
                                             std::vector<BankTarget> targets,
                                             const BankShape& shape,
                                             Rng& rng) {
  switch (spec.experts.kind) {
    case spec::ExpertKind::kLora:
      if (spec.experts.use_dora) return make_dora_bank(spec, std::move(targets), shape, rng);
      return make_lora_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kRankOne:
      return make_lora_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kSharedA:
      return make_shared_a_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kCore:
      return make_core_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kKronecker:
      return make_kronecker_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kResidual:
      return make_residual_bank(spec, std::move(targets), shape, rng);
  }
  return nullptr;
}

}  // namespace lmoe::mixture
