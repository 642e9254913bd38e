#include "nn/gated_activation.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/dispatch.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

class GatedActivationFunction : public torch::autograd::Function<GatedActivationFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& gate,
                            const at::Tensor& up,
                            int64_t kind) {
    context->save_for_backward({gate, up});
    context->saved_data["kind"] = kind;
    at::Tensor y = at::empty_like(gate);
    dispatch_dtype(gate, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_rows(gate.numel(), 1, [&](int64_t first, int64_t last) {
        kernels::gated_values(
            static_cast<GatedActivation>(kind), stored(gate.const_data_ptr<T>()) + first,
            stored(up.const_data_ptr<T>()) + first, last - first, stored(y.data_ptr<T>()) + first);
      });
    });
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto kind = static_cast<GatedActivation>(context->saved_data["kind"].toInt());
    const at::Tensor &gate = saved[0], &up = saved[1];
    const at::Tensor dy = grads[0].contiguous();
    at::Tensor dgate = at::empty_like(gate), dup = at::empty_like(up);
    dispatch_dtype(gate, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_rows(gate.numel(), 1, [&](int64_t first, int64_t last) {
        kernels::gated_values_backward(
            kind, stored(gate.const_data_ptr<T>()) + first, stored(up.const_data_ptr<T>()) + first,
            stored(dy.const_data_ptr<T>()) + first, last - first,
            stored(dgate.data_ptr<T>()) + first, stored(dup.data_ptr<T>()) + first);
      });
    });
    return {dgate, dup, at::Tensor()};
  }
};

}  // namespace

at::Tensor gated_activation(GatedActivation kind, const at::Tensor& gate, const at::Tensor& up) {
  if (!gate.device().is_cpu()) return with_aten::gated_activation(kind, gate, up);
  return GatedActivationFunction::apply(gate.contiguous(), up.contiguous(),
                                        static_cast<int64_t>(kind));
}

}  // namespace lmoe::nn
