#include "nn/panel_product.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>

#include "nn/dispatch.h"
#include "nn/matrix_product.h"

namespace lmoe::nn {
namespace {

/// body(first row, rows) for each panel, from the first to the last.
template <class Body>
void for_each_panel(const FrozenMatrix& weight, const Body& body) {
  const int64_t step = panel_rows(weight);
  for (int64_t first = 0; first < weight.rows(); first += step)
    body(first, std::min(step, weight.rows() - first));
}

/// Whether products are no rougher than sums of them.
bool sums_exactly(const FrozenMatrix& weight) {
  return weight.dtype() == accumulate_dtype(weight.dtype());
}

}  // namespace

int64_t panel_rows(const FrozenMatrix& weight) {
  if (weight.is_dense() && !sums_exactly(weight)) return weight.rows();
  constexpr int64_t kMultiple = 64;
  const int64_t most = std::max<int64_t>(1, kPanelElements / (kMultiple * weight.columns()));
  const int64_t panels = (weight.rows() + most * kMultiple - 1) / (most * kMultiple);
  const int64_t even = (weight.rows() + panels - 1) / panels;
  return (even + kMultiple - 1) / kMultiple * kMultiple;
}

void product_in_panels(const at::Tensor& x, const FrozenMatrix& weight, const at::Tensor& y) {
  const c10::NoGradGuard no_grad;
  if (panel_rows(weight) >= weight.rows()) {
    at::Tensor out = y;
    at::mm_out(out, x, weight.borrow().t());
    return;
  }
  // oneDNN writes no columns between others, but BLAS, which does, is slower than it and a copy.
  for_each_panel(weight, [&](int64_t first, int64_t rows) {
    y.narrow(/*dim=*/1, first, rows).copy_(product(x, weight.borrow(first, rows)));
  });
}

at::Tensor product_back_in_panels(const at::Tensor& dy, const FrozenMatrix& weight) {
  const c10::NoGradGuard no_grad;
  if (panel_rows(weight) >= weight.rows()) return product_back(dy, weight.borrow());
  at::Tensor sum;
  for_each_panel(weight, [&](int64_t first, int64_t rows) {
    const at::Tensor columns = dy.narrow(/*dim=*/1, first, rows).contiguous();
    const at::Tensor panel = weight.borrow(first, rows);
    if (sums_exactly(weight))
      sum = product_back(columns, panel, sum);
    else if (const at::Tensor part = product_back(columns, panel).to(at::kFloat); sum.defined())
      sum += part;
    else
      sum = part;
  });
  return sum.to(dy.scalar_type());
}

}  // namespace lmoe::nn
