#include <ATen/ATen.h>

#include <cmath>

#include "mixture/expert_bank.h"
#include "mixture/initial.h"
#include "mixture/mix_and_project.h"

namespace lmoe::mixture {
namespace {

/// Experts in levels, level 0 at the leaves; E of rank R in each. Every node of the tree hands its
/// parent the weighted sum of what its children give:
///
///   x_{l+1} = sum_n w_n act(B_l^n A_l^n x + C_l x_l^n)      x_l^n: what child n got from below
///
/// x_{l+1} has (l + 1) E R numbers; the last goes through one zero-initialised projection, the
/// bank's B. An expert's B A x is made once, however many nodes of the tree it stands at.
class ResidualBank : public ExpertBank {
 public:
  ResidualBank(const spec::MixtureSpec& spec,
               std::vector<BankTarget> given,
               const BankShape& shape,
               Rng& rng)
      : ExpertBank(
            spec, std::move(given), shape, width_of(spec, shape), width_of(spec, shape), rng),
        rank_(spec.experts.rank),
        activation_(spec.experts.activation) {
    const int64_t step = experts() * rank_;
    for (int64_t l = 0; l < spec.experts.levels; ++l) {
      at::Tensor lift =
          zero_parameter({projections() * experts(), (l + 1) * step, rank_}, shape.options);
      fill_uniform(lift.detach(), 1.0 / std::sqrt(static_cast<double>(rank_)), rng);
      lifts_.push_back(std::move(lift));
      if (l == 0) continue;
      at::Tensor carry = zero_parameter({projections(), (l + 1) * step, l * step}, shape.options);
      fill_uniform(carry.detach(), 1.0 / std::sqrt(static_cast<double>(l * step)), rng);
      carries_.push_back(std::move(carry));
    }
  }

  std::vector<at::Tensor> project(const BankInput& input,
                                  const std::vector<at::Tensor>& outputs) const override {
    const at::ScalarType dtype = input.down.scalar_type();
    const int64_t tokens = input.down.size(0), levels = static_cast<int64_t>(lifts_.size());
    const at::Tensor u = input.down.reshape({tokens, projections(), levels, experts(), rank_});
    const int64_t choices = choice_count();
    const at::Tensor weights =
        input.weights.to(dtype).reshape({tokens, -1, choices, experts()});  // [N, P or 1, Q, E]
    int64_t end = choices, parents = choices_at(0);
    at::Tensor below;  // x_l of every node of the level below [N, P, Q * E, width]
    for (int64_t l = 0; l < levels; ++l) {
      const at::Tensor own =
          lifted(u.select(/*dim=*/2, l), lifts_[static_cast<size_t>(l)].to(dtype));
      const at::Tensor w = weights.narrow(/*dim=*/2, end - parents, parents);
      below = l == 0 ? at::matmul(w, activated(own)) : gathered(own, below, w, l);
      end -= parents;
      parents /= experts();
    }
    return mix_and_project(below.reshape({tokens, -1}), {}, ups(dtype), outputs,
                           spec::Apply::kDeltas, scaling());
  }

  ExpertFactors folder_factors(size_t /*target*/, int64_t /*folder*/) const override { return {}; }

  std::vector<nn::NamedTensor> parameters() const override {
    std::vector<nn::NamedTensor> all = ExpertBank::parameters();
    for (size_t l = 0; l < lifts_.size(); ++l)
      all.push_back({joined_sites() + ".level" + std::to_string(l) + ".up", lifts_[l]});
    for (size_t l = 0; l < carries_.size(); ++l)
      all.push_back({joined_sites() + ".level" + std::to_string(l + 1) + ".carry", carries_[l]});
    return all;
  }

  std::vector<nn::NamedTensor> other_tensors() const override {
    std::vector<nn::NamedTensor> all;
    for (size_t p = 0; p < targets().size(); ++p) {
      const std::string& site = targets()[p].site;
      const auto part = [&](const at::Tensor& stacked) {
        return stacked.chunk(projections(), /*dim=*/0)[p];
      };
      all.push_back({site + ".down", part(a())});
      all.push_back({site + ".projection", b(p)});
      for (size_t l = 0; l < lifts_.size(); ++l)
        all.push_back({site + ".level" + std::to_string(l) + ".up", part(lifts_[l])});
      for (size_t l = 0; l < carries_.size(); ++l)
        all.push_back({site + ".level" + std::to_string(l + 1) + ".carry", part(carries_[l])[0]});
    }
    return all;
  }

 private:
  static int64_t width_of(const spec::MixtureSpec& spec, const BankShape& shape) {
    return spec.experts.levels * shape.experts * spec.experts.rank;
  }

  /// Parents of the nodes of level l: E to the number of levels above.
  int64_t choices_at(size_t level) const {
    int64_t parents = 1;
    for (size_t l = level + 1; l < lifts_.size(); ++l) parents *= experts();
    return parents;
  }
  int64_t choice_count() const {
    int64_t count = 0;
    for (size_t l = 0; l < lifts_.size(); ++l) count += choices_at(l);
    return count;
  }

  /// u [N, P, E, R], lift [P * E, width, R] -> [N, P, E, width]
  at::Tensor lifted(const at::Tensor& u, const at::Tensor& lift) const {
    const int64_t tokens = u.size(0), width = lift.size(1);
    const at::Tensor by_expert = u.reshape({tokens, projections() * experts(), rank_});
    return at::bmm(by_expert.transpose(0, 1), lift.transpose(1, 2))
        .transpose(0, 1)
        .reshape({tokens, projections(), experts(), width});
  }

  /// own [N, P, E, width], below [N, P, Q * E, narrower], w [N, P or 1, Q, E] -> [N, P, Q, width]
  at::Tensor gathered(const at::Tensor& own,
                      const at::Tensor& below,
                      const at::Tensor& w,
                      int64_t level) const {
    const at::Tensor carry = carries_[static_cast<size_t>(level - 1)].to(below.scalar_type());
    const int64_t tokens = own.size(0), parents = below.size(2) / experts();
    const at::Tensor carried =
        at::matmul(below, carry.transpose(1, 2))
            .reshape({tokens, projections(), parents, experts(), own.size(3)});
    const at::Tensor given = activated(own.unsqueeze(/*dim=*/2) + carried);
    return at::matmul(w.unsqueeze(/*dim=*/3), given).squeeze(/*dim=*/3);
  }

  at::Tensor activated(const at::Tensor& values) const {
    switch (activation_) {
      case spec::ExpertActivation::kIdentity:
        return values;
      case spec::ExpertActivation::kTanh:
        return at::tanh(values);
      case spec::ExpertActivation::kRelu:
        return at::relu(values);
    }
    return values;
  }

  int64_t rank_;
  spec::ExpertActivation activation_;
  std::vector<at::Tensor> lifts_;    ///< B of level l [P * E, (l + 1) E R, R]
  std::vector<at::Tensor> carries_;  ///< C of level l + 1 [P, (l + 2) E R, (l + 1) E R]
};

}  // namespace

std::unique_ptr<ExpertBank> make_residual_bank(const spec::MixtureSpec& spec,
                                               std::vector<BankTarget> targets,
                                               const BankShape& shape,
                                               Rng& rng) {
  return std::make_unique<ResidualBank>(spec, std::move(targets), shape, rng);
}

}  // namespace lmoe::mixture
