#include "nn/panel_product.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "nn/matrix_product.h"

namespace lmoe::nn {

int64_t panel_rows(int64_t rows, int64_t columns) {
  constexpr int64_t kMultiple = 64;
  const int64_t most =
      std::max(kLeastPanelRows, kPanelElements / (kMultiple * columns) * kMultiple);
  const int64_t panels = (rows + most - 1) / most;
  const int64_t even = (rows + panels - 1) / panels;
  return (even + kMultiple - 1) / kMultiple * kMultiple;
}

void product_in_panels(const at::Tensor& x, const FrozenMatrix& weight, const at::Tensor& y) {
  const c10::NoGradGuard no_grad;
  // oneDNN writes no columns between others, but BLAS, which does, is slower than it and a copy.
  for_each_panel(weight, [&](int64_t first, const at::Tensor& panel) {
    y.narrow(/*dim=*/1, first, panel.size(0)).copy_(product(x, panel));
  });
}

}  // namespace lmoe::nn
