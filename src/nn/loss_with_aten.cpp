#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "nn/dispatch.h"
#include "nn/loss.h"
#include "nn/with_aten.h"

namespace lmoe::nn::with_aten {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Of rows that all have a label.
at::Tensor loss_of_rows(const at::Tensor& hidden,
                        const at::Tensor& labels,
                        const at::Tensor& lm_head,
                        double softcap) {
  at::Tensor logits = at::linear(hidden, lm_head).to(accumulate_dtype(hidden.scalar_type()));
  if (softcap > 0) logits = softcap * at::tanh(logits / softcap);
  return at::cross_entropy_loss(logits, labels, /*weight=*/{}, at::Reduction::Sum);
}

// Autograd makes the gradient of each chunk in the forward, so that its logits end with it.
class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& hidden,
                            const at::Tensor& labels,
                            const at::Tensor& lm_head,
                            double softcap,
                            int64_t chunk_rows,
                            bool want_gradient) {
    const at::Tensor labelled = labels.ne(kIgnoreLabel).nonzero().squeeze(/*dim=*/1);
    const at::Tensor used_labels = labels.index_select(0, labelled).to(hidden.device());
    const at::Tensor rows = labelled.to(hidden.device());
    const at::Tensor used = hidden.index_select(0, rows);
    at::Tensor gradient = want_gradient ? at::empty_like(used) : at::Tensor();
    at::Tensor sum = at::zeros({}, hidden.options().dtype(accumulate_dtype(hidden.scalar_type())));
    const at::AutoGradMode enable(want_gradient);
    for (int64_t first = 0; first < used.size(0); first += chunk_rows) {
      const int64_t count = std::min(chunk_rows, used.size(0) - first);
      const at::Tensor own =
          used.narrow(/*dim=*/0, first, count).detach().set_requires_grad(want_gradient);
      const at::Tensor loss =
          loss_of_rows(own, used_labels.narrow(/*dim=*/0, first, count), lm_head, softcap);
      sum = sum + loss.detach();
      if (want_gradient)
        gradient.narrow(/*dim=*/0, first, count).copy_(torch::autograd::grad({loss}, {own})[0]);
    }
    if (want_gradient) context->save_for_backward({gradient, rows});
    context->saved_data["total_rows"] = hidden.size(0);
    return sum;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gradient = saved[0], &rows = saved[1];
    at::Tensor dhidden = at::zeros({context->saved_data["total_rows"].toInt(), gradient.size(1)},
                                   gradient.options());
    dhidden.index_copy_(0, rows, gradient * grads[0].to(gradient.scalar_type()));
    variable_list result = {dhidden};
    result.resize(6);  // all others have none
    return result;
  }
};

}  // namespace

at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      double softcap,
                                      int64_t chunk_rows) {
  const bool want_gradient = c10::GradMode::is_enabled() && hidden.requires_grad();
  return CrossEntropy::apply(hidden, labels, lm_head.expand(), softcap, chunk_rows, want_gradient);
}

}  // namespace lmoe::nn::with_aten
