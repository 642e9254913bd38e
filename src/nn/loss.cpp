#include "nn/loss.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cross_entropy.h"
#include "nn/dispatch.h"
#include "nn/panel_product.h"
#include "nn/part_times.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

/// Loss of the rows of one chunk; the logits become their gradient when that is wanted.
double chunk_loss(at::Tensor& logits, const at::Tensor& labels, double cap, bool want_gradient) {
  const int64_t rows = logits.size(0), width = logits.size(1);
  std::vector<double> losses(static_cast<size_t>(rows));
  dispatch_dtype(logits, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_rows(rows, width, [&](int64_t first, int64_t last) {
      for (int64_t row = first; row < last; ++row)
        losses[static_cast<size_t>(row)] =
            kernels::cross_entropy_row(stored(logits.data_ptr<T>()) + row * width, width,
                                       labels.const_data_ptr<int64_t>()[row], cap, want_gradient);
    });
  });
  double sum = 0;
  for (double loss : losses) sum += loss;
  return sum;
}

// The gradient of the hidden states is made in the forward pass, chunk by chunk, so that logits are
// computed once and never kept.
class CrossEntropyFunction : public torch::autograd::Function<CrossEntropyFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& hidden,
                            const at::Tensor& labels,
                            const FrozenMatrix& lm_head,
                            double cap,
                            int64_t chunk_rows,
                            bool want_gradient) {
    const PartScope scope(Part::kLoss, Direction::kForward);
    const at::Tensor rows = labels.ne(kIgnoreLabel).nonzero().squeeze(1);
    const int64_t count = rows.size(0);
    const at::Tensor used_labels = labels.index_select(0, rows);
    const at::Tensor used = hidden.index_select(0, rows);
    at::Tensor gradient = want_gradient ? at::empty_like(used) : at::Tensor();
    const at::Tensor all_logits =
        at::empty({std::min(chunk_rows, count), lm_head.rows()}, used.options());
    double sum = 0;
    for (int64_t first = 0; first < count; first += chunk_rows) {
      const int64_t size = std::min(chunk_rows, count - first);
      at::Tensor logits = all_logits.narrow(0, 0, size);
      product_in_panels(used.narrow(0, first, size), lm_head, logits);
      sum += chunk_loss(logits, used_labels.narrow(0, first, size), cap, want_gradient);
      if (want_gradient)
        gradient.narrow(0, first, size).copy_(product_back_in_panels(logits, lm_head));
    }
    if (want_gradient) context->save_for_backward({gradient, rows});
    context->saved_data["total_rows"] = hidden.size(0);
    return at::scalar_tensor(sum, hidden.options().dtype(accumulate_dtype(hidden.scalar_type())));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list grads) {
    const PartScope scope(Part::kLoss, Direction::kBackward);
    const auto saved = context->get_saved_variables();
    const at::Tensor &gradient = saved[0], &rows = saved[1];
    at::Tensor dhidden = at::zeros({context->saved_data["total_rows"].toInt(), gradient.size(1)},
                                   gradient.options());
    dhidden.index_copy_(0, rows, gradient * grads[0].to(gradient.scalar_type()));
    return {dhidden, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check_shapes(const at::Tensor& hidden,
                  const at::Tensor& labels,
                  const FrozenMatrix& lm_head,
                  int64_t chunk_rows) {
  LMOE_CHECK_ARG(hidden.dim() == 2 && hidden.size(1) == lm_head.columns() && labels.dim() == 1 &&
                     labels.size(0) == hidden.size(0) && chunk_rows > 0,
                 "[loss] shapes do not fit: given hidden ", hidden.sizes(), ", labels ",
                 labels.sizes(), ", lm_head ", at::IntArrayRef(lm_head.sizes()), ", chunk_rows ",
                 chunk_rows);
  const at::Tensor bad =
      labels.ne(kIgnoreLabel).logical_and(labels.lt(0).logical_or(labels.ge(lm_head.rows())));
  LMOE_CHECK_ARG(!bad.any().item<bool>(), "[loss] a label is outside the vocabulary of ",
                 lm_head.rows(), ": given ",
                 labels.masked_select(bad).select(0, 0).item<int64_t>());
}

}  // namespace

at::Tensor labelled_cross_entropy_sum(const at::Tensor& hidden,
                                      const at::Tensor& labels,
                                      const FrozenMatrix& lm_head,
                                      std::optional<double> softcap,
                                      std::optional<int64_t> chunk_rows) {
  const int64_t rows = chunk_rows.value_or(loss_chunk_rows(hidden.size(0)));
  check_shapes(hidden, labels, lm_head, rows);
  if (!hidden.device().is_cpu())
    return with_aten::labelled_cross_entropy_sum(hidden, labels, lm_head, softcap.value_or(0.0),
                                                 rows);
  const bool want_gradient = c10::GradMode::is_enabled() && hidden.requires_grad();
  return CrossEntropyFunction::apply(hidden, labels.contiguous(), lm_head, softcap.value_or(0.0),
                                     rows, want_gradient);
}

}  // namespace lmoe::nn
