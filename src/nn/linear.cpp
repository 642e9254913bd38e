#include "nn/linear.h"

#include <ATen/ATen.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/matrix_product.h"
#include "nn/part_times.h"
#include "nn/product_over_rows.h"
#include "nn/projection.h"

namespace lmoe::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Handles: what is expanded lasts for one product.
struct Weights : torch::CustomClassHolder {
  std::vector<FrozenMatrix> matrices;
};

class FrozenLinears : public torch::autograd::Function<FrozenLinears> {
 public:
  static variable_list forward(AutogradContext* context,
                               const at::Tensor& x,
                               const std::vector<FrozenLinear>& linears) {
    const PartScope scope(Part::kFrozenGemm, Direction::kForward);
    variable_list outputs;
    auto weights = c10::make_intrusive<Weights>();
    for (const FrozenLinear& linear : linears) {
      outputs.push_back(product(x, linear.weight.borrow(), linear.bias));
      weights->matrices.push_back(linear.weight);
    }
    context->saved_data["weights"] = c10::IValue::make_capsule(std::move(weights));
    context->set_materialize_grads(false);
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list dys) {
    const auto weights =
        c10::static_intrusive_pointer_cast<Weights>(context->saved_data["weights"].toCapsule());
    const PartScope scope(Part::kFrozenGemm, Direction::kBackward);
    at::Tensor dx;
    for (size_t i = 0; i < weights->matrices.size(); ++i) {
      if (dys[i].defined()) dx = product_back(dys[i], weights->matrices[i].borrow(), dx);
    }
    return {dx, at::Tensor()};
  }
};

class AdapterLinear : public torch::autograd::Function<AdapterLinear> {
 public:
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& weight) {
    const PartScope scope(Part::kAdapterGemm, Direction::kForward);
    // A finished adapter's gradient needs no input, which is then kept by nobody.
    context->save_for_backward({weight.requires_grad() ? x : at::Tensor(), weight});
    return product(x, weight);
  }

  static variable_list backward(AutogradContext* context, variable_list dys) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &dy = dys[0];
    const PartScope scope(Part::kAdapterGemm, Direction::kBackward);
    return {context->needs_input_grad(0) ? product_back(dy, weight) : at::Tensor(),
            context->needs_input_grad(1) ? product_over_rows(dy, x) : at::Tensor()};
  }
};

}  // namespace

std::vector<at::Tensor> frozen_linears(const at::Tensor& x,
                                       const std::vector<FrozenLinear>& linears) {
  return FrozenLinears::apply(x, linears);
}

at::Tensor adapter_linear(const at::Tensor& x, const at::Tensor& weight) {
  return AdapterLinear::apply(x, weight);
}

}  // namespace lmoe::nn
