#include "nn/loss.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "kernels/cross_entropy.h"
#include "kernels/rows.h"
#include "nn/dispatch.h"
#include "nn/matrix_product.h"
#include "nn/panel_product.h"
#include "nn/part_times.h"
#include "nn/stored_types.h"
#include "nn/with_aten.h"

namespace lmoe::nn {

namespace {

using RunningRows = std::vector<kernels::RunningCrossEntropy>;

/// The rows of a chunk: hidden states [N, H], labels [N].
struct Chunk {
  at::Tensor hidden, labels;
  double cap = 0;
  bool want_gradient = false;
};

/// Logits [N, rows of the panel] of the vocabulary from `first` on; with a gradient they become
/// what `cross_entropy_panel` says, and `sums` [N, H] of earlier panels are corrected.
void take_logits(const Chunk& chunk,
                 int64_t first,
                 const at::Tensor& logits,
                 RunningRows& rows,
                 const at::Tensor& sums) {
  const int64_t width = logits.size(1);
  const int64_t* const labels = chunk.labels.const_data_ptr<int64_t>();
  dispatch_dtype(logits, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_rows(logits.size(0), width, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const double correction = kernels::cross_entropy_panel(
            stored(logits.data_ptr<T>()) + row * width, width, labels[row] - first, chunk.cap,
            chunk.want_gradient, rows[static_cast<size_t>(row)]);
        if (sums.defined() && correction != 1) {
          using A = kernels::accumulate_t<T>;
          A* const sum = sums.data_ptr<A>() + row * sums.size(1);
          kernels::add_row(/*is_first=*/true, static_cast<A>(correction), sum, sums.size(1), sum);
        }
      }
    });
  });
}

/// sums + terms W, in the type that sums are made in; `sums` may be written over.
at::Tensor add_product(const at::Tensor& sums, const at::Tensor& terms, const at::Tensor& panel) {
  const at::ScalarType wide = accumulate_dtype(terms.scalar_type());
  if (terms.scalar_type() == wide) return product_back(terms, panel, sums);
  const at::Tensor part = product_back(terms, panel).to(wide);
  return sums.defined() ? sums.add_(part) : part;
}

/// `sums` of all panels, over each row's own sum, and the row of its label.
void finish_gradient(const RunningRows& rows,
                     const Chunk& chunk,
                     const at::Tensor& label_weights,
                     const at::Tensor& sums) {
  const at::Tensor factors = at::empty({std::ssize(rows), 2}, at::kDouble);
  auto factor = factors.accessor<double, 2>();
  for (int64_t row = 0; row < std::ssize(rows); ++row) {
    const kernels::RunningCrossEntropy& running = rows[static_cast<size_t>(row)];
    factor[row][0] = 1 / running.sum;
    factor[row][1] = running.gradient_at_label(chunk.cap);
  }
  const at::Tensor cast = factors.to(sums.scalar_type());
  sums.mul_(cast.narrow(/*dim=*/1, 0, 1));
  sums.addcmul_(label_weights.to(sums.scalar_type()), cast.narrow(/*dim=*/1, 1, 1));
}

/// Loss of a chunk, and its gradient with respect to the hidden states where that is wanted.
double chunk_loss(const Chunk& chunk, const FrozenMatrix& lm_head, const at::Tensor& gradient) {
  RunningRows rows(static_cast<size_t>(chunk.hidden.size(0)));
  at::Tensor sums;
  for_each_panel(lm_head, [&](int64_t first, const at::Tensor& panel) {
    const at::Tensor logits = product(chunk.hidden, panel);
    take_logits(chunk, first, logits, rows, sums);
    if (chunk.want_gradient) sums = add_product(sums, logits, panel);
  });
  if (chunk.want_gradient) {
    finish_gradient(rows, chunk, lm_head.gather(chunk.labels), sums);
    gradient.copy_(sums);
  }
  double sum = 0;
  for (const kernels::RunningCrossEntropy& row : rows) sum += row.loss();
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
    double sum = 0;
    for (int64_t first = 0; first < count; first += chunk_rows) {
      const int64_t size = std::min(chunk_rows, count - first);
      const auto own = [&](const at::Tensor& all) { return all.narrow(/*dim=*/0, first, size); };
      sum += chunk_loss({own(used), own(used_labels), cap, want_gradient}, lm_head,
                        want_gradient ? own(gradient) : at::Tensor());
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
                                      int64_t chunk_rows) {
  check_shapes(hidden, labels, lm_head, chunk_rows);
  if (!hidden.device().is_cpu())
    return with_aten::labelled_cross_entropy_sum(hidden, labels, lm_head, softcap.value_or(0.0),
                                                 std::min(chunk_rows, with_aten::kLossRows));
  const bool want_gradient = c10::GradMode::is_enabled() && hidden.requires_grad();
  return CrossEntropyFunction::apply(hidden, labels.contiguous(), lm_head, softcap.value_or(0.0),
                                     chunk_rows, want_gradient);
}

}  // namespace lmoe::nn
