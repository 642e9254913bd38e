#include "mixture/mix_cores.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "nn/part_times.h"

namespace lmoe::mixture {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Views of what belongs to one projection.
struct Projection {
  Projection(const at::Tensor& down,
             const at::Tensor& weights,
             const at::Tensor& cores,
             int64_t p) {
    const int64_t rank = cores.size(1), experts = weights.size(2);
    u = down.narrow(/*dim=*/1, p * rank, rank).unsqueeze(/*dim=*/1);
    w = weights.select(/*dim=*/1, std::min(p, weights.size(1) - 1)).unsqueeze(/*dim=*/-1);
    matrices = cores.narrow(/*dim=*/0, p * experts, experts);
    stacked = matrices.transpose(1, 2).reshape({experts * rank, rank});
  }

  /// w ⊗ u [N, E * R].
  at::Tensor spread() const { return (w * u).flatten(/*start_dim=*/1); }

  at::Tensor u;         ///< [N, 1, R]
  at::Tensor w;         ///< [N, E, 1]
  at::Tensor matrices;  ///< [E, R, R]
  at::Tensor stacked;   ///< [E * R, R], rows over expert and what the core reads
};

int64_t projections_of(const at::Tensor& down, const at::Tensor& cores) {
  return down.size(1) / cores.size(1);
}

class MixCores : public torch::autograd::Function<MixCores> {
 public:
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& down,
                            const at::Tensor& weights,
                            const at::Tensor& cores) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kForward);
    const int64_t rank = cores.size(1);
    at::Tensor v = at::empty(down.sizes(), down.options());
    for (int64_t p = 0; p < projections_of(down, cores); ++p) {
      const Projection own(down, weights, cores, p);
      at::Tensor target = v.narrow(/*dim=*/1, p * rank, rank);
      at::mm_out(target, own.spread(), own.stacked);
    }
    context->save_for_backward({down, weights, cores});
    return v;
  }

  static variable_list backward(AutogradContext* context, variable_list dvs) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kBackward);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &down = saved[0], &weights = saved[1], &cores = saved[2], &dv = dvs[0];
    const int64_t rank = cores.size(1), experts = weights.size(2);
    at::Tensor ddown = at::empty(down.sizes(), down.options());
    at::Tensor dweights = at::zeros_like(weights), dcores = at::empty_like(cores);
    for (int64_t p = 0; p < projections_of(down, cores); ++p) {
      const Projection own(down, weights, cores, p);
      const at::Tensor dv_own = dv.narrow(/*dim=*/1, p * rank, rank);
      const at::Tensor dspread = at::mm(dv_own, own.stacked.t()).view({dv.size(0), experts, rank});
      ddown.narrow(/*dim=*/1, p * rank, rank).copy_((dspread * own.w).sum(/*dim=*/1));
      dweights.select(/*dim=*/1, std::min(p, weights.size(1) - 1))
          .add_((dspread * own.u).sum(/*dim=*/-1));
      dcores.narrow(/*dim=*/0, p * experts, experts)
          .copy_(at::mm(own.spread().t(), dv_own).view({experts, rank, rank}).transpose(1, 2));
    }
    return {ddown, dweights, dcores};
  }
};

}  // namespace

at::Tensor mix_cores(const at::Tensor& down, const at::Tensor& weights, const at::Tensor& cores) {
  return MixCores::apply(down, weights.to(down.scalar_type()), cores);
}

}  // namespace lmoe::mixture
