#include "nn/rms_norm.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/rms_norm.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

at::Tensor forward_rows(const at::Tensor& x,
                        const at::Tensor& weight,
                        double eps,
                        const at::Tensor& rstd) {
  at::Tensor y = at::empty_like(x);
  const int64_t width = x.size(-1);
  dispatch_dtype(x, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = accumulate_t<T>;
    parallel_rows(rstd.numel(), width, [&](int64_t first, int64_t last) {
      kernels::rms_norm_rows(stored(x.const_data_ptr<T>()) + first * width,
                             weight.const_data_ptr<A>(), eps, last - first, width,
                             stored(y.data_ptr<T>()) + first * width, rstd.data_ptr<A>() + first);
    });
  });
  return y;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& weight,
                            double eps) {
    const at::Tensor rstd = at::empty({x.numel() / x.size(-1)}, weight.options());
    context->save_for_backward({x, weight, rstd});
    return forward_rows(x, weight, eps, rstd);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &rstd = saved[2];
    const at::Tensor dy = grads[0].contiguous();
    at::Tensor dx = at::empty_like(x);
    const int64_t width = x.size(-1);
    dispatch_dtype(x, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = accumulate_t<T>;
      parallel_rows(rstd.numel(), width, [&](int64_t first, int64_t last) {
        kernels::rms_norm_backward_rows(
            stored(x.const_data_ptr<T>()) + first * width, weight.const_data_ptr<A>(),
            rstd.const_data_ptr<A>() + first, stored(dy.const_data_ptr<T>()) + first * width,
            last - first, width, stored(dx.data_ptr<T>()) + first * width);
      });
    });
    return {dx, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!x.device().is_cpu()) return with_aten::rms_norm(x, weight, eps);
  return RmsNormFunction::apply(x.contiguous(), weight, eps);
}

}  // namespace lmoe::nn
