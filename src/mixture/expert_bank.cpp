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
    : targets_(std::move(targets)),
      in_(shape.in),
      experts_(shape.experts),
      scaling_(spec.scaling()),
      a_(zero_parameter({rows, shape.in}, shape.dtype)) {
  fill_uniform(a_.detach(), 1.0 / std::sqrt(static_cast<double>(shape.in)), rng);
  for (const BankTarget& target : targets_)
    b_.push_back(zero_parameter({target.out, columns}, shape.dtype));
}

std::vector<at::Tensor> ExpertBank::ups(at::ScalarType dtype) const {
  std::vector<at::Tensor> converted;
  for (const at::Tensor& b : b_) converted.push_back(b.to(dtype));
  return converted;
}

std::vector<nn::NamedTensor> ExpertBank::parameters() const {
  std::vector<std::string> names;
  for (const BankTarget& target : targets_) names.push_back(target.site);
  std::vector<nn::NamedTensor> named = {{join_sites(names) + ".lora_A", a_}};
  for (size_t i = 0; i < targets_.size(); ++i)
    named.push_back({targets_[i].site + ".lora_B", b_[i]});
  for (const StackedTensor& other : other_tensors())
    named.push_back({join_sites(names) + "." + other.suffix, other.tensor});
  return named;
}

void ExpertBank::check_fits(const nn::ProjectionGroup& group) const {
  for (const BankTarget& target : targets_) {
    const bool found = target.linear < group.linears().size() &&
                       group.linears()[target.linear].module_path == target.module_path;
    LMOE_CHECK_ARG(found, "[attach] the model has no ", target.module_path,
                   " where the mixture expects it; it was made for another base model");
    const at::Tensor& weight = group.linears()[target.linear].weight;
    LMOE_CHECK_ARG(weight.size(0) == target.out && weight.size(1) == in_, "[attach] ",
                   target.module_path, " has shape [", weight.size(0), ", ", weight.size(1),
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
    case spec::ExpertKind::kRankOne:
      return make_lora_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kSharedA:
      return make_shared_a_bank(spec, std::move(targets), shape, rng);
    case spec::ExpertKind::kCore:
      return make_core_bank(spec, std::move(targets), shape, rng);
  }
  return nullptr;
}

}  // namespace lmoe::mixture
