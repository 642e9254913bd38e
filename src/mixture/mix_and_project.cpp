#include "mixture/mix_and_project.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "mixture/middle_stage.h"
#include "nn/dispatch.h"
#include "nn/part_times.h"
#include "nn/product_over_rows.h"

namespace lmoe::mixture {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Columns of v that belong to projection `p`.
at::Tensor part(const at::Tensor& v, size_t p, const at::Tensor& up) {
  return v.narrow(/*dim=*/1, static_cast<int64_t>(p) * up.size(1), up.size(1));
}

class MixAndProject : public torch::autograd::Function<MixAndProject> {
 public:
  static variable_list forward(AutogradContext* context,
                               const at::Tensor& down,
                               const std::optional<at::Tensor>& weights,
                               at::TensorList ups,
                               at::TensorList given_outputs,
                               int64_t apply,
                               double scaling) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kForward);
    const at::Tensor v = weights ? middle_stage(down, *weights, static_cast<int64_t>(ups.size()),
                                                static_cast<spec::Apply>(apply))
                                 : down;
    variable_list outputs = given_outputs.vec();
    for (size_t p = 0; p < ups.size(); ++p)
      outputs[p].addmm_(part(v, p, ups[p]), ups[p].t(), /*beta=*/1, /*alpha=*/scaling);
    variable_list saved = {down, weights.value_or(at::Tensor())};
    saved.insert(saved.end(), ups.begin(), ups.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["apply"] = apply;
    context->saved_data["scaling"] = scaling;
    context->mark_dirty(outputs);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list dys) {
    const nn::PartScope scope(nn::Part::kAdapterGemm, nn::Direction::kBackward);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &down = saved[0], &weights = saved[1];
    const variable_list ups(saved.begin() + 2, saved.end());
    const auto projections = static_cast<int64_t>(ups.size());
    const auto apply = static_cast<spec::Apply>(context->saved_data["apply"].toInt());
    const double scaling = context->saved_data["scaling"].toDouble();

    at::Tensor dv = at::empty(down.sizes(), down.options());
    for (size_t p = 0; p < ups.size(); ++p) {
      at::Tensor target = part(dv, p, ups[p]);
      at::addmm_out(target, target, dys[p], ups[p], /*beta=*/0, /*alpha=*/scaling);
    }
    variable_list result = {dv, at::Tensor()};
    if (weights.defined()) {
      const MiddleGradients middle = middle_stage_backward(down, weights, dv, projections, apply);
      result = {middle.down, middle.weights};
    }
    const size_t first_up = weights.defined() ? 2 : 1;  // an absent tensor is no input of the graph
    at::Tensor v;
    for (size_t p = 0; p < ups.size(); ++p) {
      result.emplace_back();
      if (!context->needs_input_grad(first_up + p)) continue;  // finished
      if (!v.defined())
        v = weights.defined() ? middle_stage(down, weights, projections, apply) : down;
      result.back() = nn::product_over_rows(part(v, p, ups[p]), dys[p], scaling).t();
    }
    result.insert(result.end(), dys.begin(), dys.end());
    result.resize(result.size() + 2);  // apply and scaling
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> mix_and_project(const at::Tensor& down,
                                        const at::Tensor& weights,
                                        const std::vector<at::Tensor>& ups,
                                        const std::vector<at::Tensor>& outputs,
                                        spec::Apply apply,
                                        double scaling) {
  std::optional<at::Tensor> given;
  if (weights.defined()) given = weights.to(nn::accumulate_dtype(down.scalar_type())).contiguous();
  return MixAndProject::apply(down, given, at::TensorList(ups), at::TensorList(outputs),
                              static_cast<int64_t>(apply), scaling);
}

}  // namespace lmoe::mixture
