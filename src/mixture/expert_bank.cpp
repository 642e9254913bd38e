#include "mixture/expert_bank.h"

#include <ATen/ATen.h>

#include <cmath>

#include "mixture/initial.h"
#include "mixture/site_name.h"

namespace lmoe::mixture {

ExpertBank::ExpertBank(const spec::ExpertsSpec& spec,
                       std::vector<BankTarget> targets,
                       int64_t in,
                       at::ScalarType dtype,
                       Rng& rng)
    : targets_(std::move(targets)),
      in_(in),
      experts_(spec.count),
      rank_(spec.rank),
      scaling_(spec.scaling()),
      a_(zero_parameter({static_cast<int64_t>(targets_.size()) * experts_ * rank_, in}, dtype)) {
  fill_uniform(a_.detach(), 1.0 / std::sqrt(static_cast<double>(in)), rng);
  for (const BankTarget& target : targets_)
    b_.push_back(zero_parameter({target.out, experts_ * rank_}, dtype));
}

ExpertFactors ExpertBank::factors(size_t target, int64_t expert) const {
  const int64_t first_row = (static_cast<int64_t>(target) * experts_ + expert) * rank_;
  return {a_.narrow(/*dim=*/0, first_row, rank_),
          b_[target].narrow(/*dim=*/1, expert * rank_, rank_)};
}

std::vector<nn::NamedTensor> ExpertBank::parameters() const {
  std::vector<std::string> names;
  for (const BankTarget& target : targets_) names.push_back(target.site);
  std::vector<nn::NamedTensor> named = {{join_sites(names) + ".lora_A", a_}};
  for (size_t i = 0; i < targets_.size(); ++i)
    named.push_back({targets_[i].site + ".lora_B", b_[i]});
  return named;
}

}  // namespace lmoe::mixture
