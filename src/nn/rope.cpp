#include "nn/rope.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/rope.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

at::Tensor rotate(const at::Tensor& x, const RopeTable& table, bool inverse) {
  at::Tensor y = at::empty_like(x);
  const int64_t width = x.size(1), half = table.cos.size(1), heads = width / (2 * half);
  dispatch_dtype(x, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = accumulate_t<T>;
    parallel_rows(x.size(0), width, [&](int64_t first, int64_t last) {
      kernels::rotate_rows(stored(x.const_data_ptr<T>()) + first * width,
                           table.cos.const_data_ptr<A>() + first * half,
                           table.sin.const_data_ptr<A>() + first * half, last - first, heads, half,
                           inverse, stored(y.data_ptr<T>()) + first * width);
    });
  });
  return y;
}

class RopeFunction : public torch::autograd::Function<RopeFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return rotate(x, {cos, sin}, /*inverse=*/false);
  }

  // A rotation's transpose is the rotation back.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const auto saved = context->get_saved_variables();
    return {rotate(grads[0].contiguous(), {saved[0], saved[1]}, /*inverse=*/true), at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  if (!x.device().is_cpu()) return with_aten::apply_rope(x, table);
  return RopeFunction::apply(x.contiguous(), table.cos, table.sin);
}

}  // namespace lmoe::nn
