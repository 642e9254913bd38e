#include "mixture/dropout.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "mixture/with_aten.h"
#include "nn/dispatch.h"

namespace lmoe::mixture {
namespace {

at::Tensor drop(const at::Tensor& x, const DropoutMask& mask) {
  if (!x.device().is_cpu()) return with_aten::drop(x, mask);
  const at::Tensor from = x.contiguous();
  at::Tensor y = at::empty_like(from);
  const int64_t width = from.size(-1);
  nn::dispatch_dtype(from, [&](auto tag) {
    using T = typename decltype(tag)::type;
    nn::parallel_rows(from.numel() / width, width, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        drop_row(mask, row, from.const_data_ptr<T>() + row * width, width,
                 y.data_ptr<T>() + row * width);
    });
  });
  return y;
}

class Dropout : public torch::autograd::Function<Dropout> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const DropoutMask& mask) {
    context->saved_data["seed"] = static_cast<int64_t>(mask.seed);
    context->saved_data["rate"] = mask.rate;
    return drop(x, mask);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const DropoutMask mask{static_cast<uint64_t>(context->saved_data["seed"].toInt()),
                           context->saved_data["rate"].toDouble()};
    return {drop(grads[0], mask), at::Tensor()};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, double rate, Rng& rng) {
  return Dropout::apply(x, DropoutMask{rng.next(), rate});
}

DropoutMask dropout_mask(double rate, nn::ForwardContext& context) {
  if (!context.is_training || rate == 0.0) return {};
  LMOE_CHECK_ARG(context.dropout_rng != nullptr,
                 "[mixture] training with dropout needs a generator in the forward context");
  return {context.dropout_rng->next(), rate};
}

at::Tensor adapter_input(const at::Tensor& x, double rate, nn::ForwardContext& context) {
  const DropoutMask mask = dropout_mask(rate, context);
  return mask.rate == 0.0 ? x : at::Tensor(Dropout::apply(x, mask));
}

}  // namespace lmoe::mixture
