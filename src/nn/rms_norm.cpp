#include "nn/rms_norm.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/error.h"
#include "kernels/rms_norm.h"
#include "nn/dispatch.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Weights from here on give the normalised row back to the last digits; below lie the numbers
/// that float32 holds with fewer digits.
constexpr double kLeastWeight = 1e-20;

struct Forward {
  at::Tensor sum;  ///< undefined without an addend
  at::Tensor normed;
  at::Tensor rstd;
};

Forward forward_rows(const at::Tensor& x,
                     const std::optional<at::Tensor>& addend,
                     const at::Tensor& weight,
                     double eps) {
  const int64_t width = x.size(-1);
  Forward out{addend ? at::empty_like(x) : at::Tensor(), at::empty_like(x),
              at::empty({x.numel() / width}, weight.options())};
  dispatch_dtype(x, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = accumulate_t<T>;
    parallel_rows(out.rstd.numel(), width, [&](int64_t first, int64_t last) {
      const auto row = [&](const at::Tensor& t) { return stored(t.data_ptr<T>()) + first * width; };
      const A* w = weight.const_data_ptr<A>();
      A* rstd = out.rstd.data_ptr<A>() + first;
      if (addend)
        kernels::add_rms_norm_rows(row(x), row(*addend), w, eps, last - first, width, row(out.sum),
                                   row(out.normed), rstd);
      else
        kernels::rms_norm_rows(row(x), w, eps, last - first, width, row(out.normed), rstd);
    });
  });
  return out;
}

bool output_tells_all(const at::Tensor& x, const at::Tensor& weight) {
  return x.scalar_type() == weight.scalar_type() &&
         weight.abs().min().item<double>() >= kLeastWeight;
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  /// {normed}, or {normed, sum}
  static variable_list forward(AutogradContext* context,
                               const at::Tensor& x,
                               const std::optional<at::Tensor>& addend,
                               const at::Tensor& weight,
                               double eps) {
    Forward out = forward_rows(x, addend, weight, eps);
    const bool keeps_output = output_tells_all(x, weight);
    const at::Tensor& input = addend ? out.sum : x;
    context->save_for_backward({keeps_output ? out.normed : input, weight, out.rstd});
    context->saved_data["keeps_output"] = keeps_output;
    context->saved_data["has_addend"] = addend.has_value();
    context->set_materialize_grads(false);
    variable_list outputs = {std::move(out.normed)};
    if (addend) outputs.push_back(std::move(out.sum));
    return outputs;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const bool has_addend = context->saved_data["has_addend"].toBool();
    const at::Tensor dsum = has_addend && grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    const at::Tensor dx =
        grads[0].defined() ? norm_gradient(context, grads[0].contiguous(), dsum) : dsum;
    return {dx, has_addend ? dx : at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  static at::Tensor norm_gradient(AutogradContext* context,
                                  const at::Tensor& dy,
                                  const at::Tensor& dsum) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &kept = saved[0], &weight = saved[1], &rstd = saved[2];
    const at::Tensor inverse =
        context->saved_data["keeps_output"].toBool() ? weight.reciprocal() : at::Tensor();
    at::Tensor dx = at::empty_like(dy);
    const int64_t width = dy.size(-1);
    dispatch_dtype(dy, [&](auto tag) {
      using T = typename decltype(tag)::type;
      using A = accumulate_t<T>;
      parallel_rows(rstd.numel(), width, [&](int64_t first, int64_t last) {
        const auto row = [&](const at::Tensor& t) {
          return t.defined() ? stored(t.data_ptr<T>()) + first * width : nullptr;
        };
        kernels::rms_norm_backward_rows(
            {row(kept), inverse.defined() ? inverse.const_data_ptr<A>() : nullptr,
             rstd.const_data_ptr<A>() + first},
            weight.const_data_ptr<A>(), row(dy), row(dsum), last - first, width, row(dx));
      });
    });
    return dx;
  }
};

bool wants_gradient(const at::Tensor& x) {
  return c10::GradMode::is_enabled() && x.requires_grad();
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  if (!x.device().is_cpu()) return with_aten::rms_norm(x, weight, eps);
  if (!wants_gradient(x)) return forward_rows(x.contiguous(), std::nullopt, weight, eps).normed;
  return RmsNormFunction::apply(x.contiguous(), std::optional<at::Tensor>(), weight, eps)[0];
}

NormedSum add_and_norm(const at::Tensor& x,
                       const at::Tensor& addend,
                       const at::Tensor& weight,
                       double eps) {
  LMOE_CHECK_ARG(x.sizes() == addend.sizes() && x.scalar_type() == addend.scalar_type(),
                 "[add_and_norm] given ", x.sizes(), " ", x.scalar_type(), " and ", addend.sizes(),
                 " ", addend.scalar_type(), ", expected two alike");
  if (!x.device().is_cpu()) {
    const at::Tensor sum = x + addend;
    return {sum, with_aten::rms_norm(sum, weight, eps)};
  }
  if (!wants_gradient(x) && !wants_gradient(addend)) {
    const Forward out = forward_rows(x.contiguous(), addend.contiguous(), weight, eps);
    return {out.sum, out.normed};
  }
  const variable_list out = RmsNormFunction::apply(
      x.contiguous(), std::optional<at::Tensor>(addend.contiguous()), weight, eps);
  return {out[1], out[0]};
}

}  // namespace lmoe::nn
