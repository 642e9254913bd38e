#include "nn/product_over_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/narrow_products.h"

namespace lmoe::nn {
namespace {

/// Rows whose part of some columns stays in the second cache while every rank reads it.
constexpr int64_t kRows = 256;
/// Columns that one thread takes at least: four cache lines of floats.
constexpr int64_t kColumns = 64;

bool suits_kernel(const at::Tensor& left, const at::Tensor& right) {
  return left.device().is_cpu() && left.scalar_type() == right.scalar_type() &&
         (left.scalar_type() == at::kFloat || left.scalar_type() == at::kDouble) &&
         left.stride(1) == 1 && right.stride(1) == 1;
}

template <class A>
void add_products(const at::Tensor& left,
                  const at::Tensor& right,
                  double scaling,
                  at::Tensor& sum) {
  const int64_t rows = left.size(0), width = right.size(1);
  const kernels::Rows<const A> l{left.const_data_ptr<A>(), left.stride(0)};
  const kernels::Rows<const A> r{right.const_data_ptr<A>(), right.stride(0)};
  const kernels::Rows<A> s{sum.data_ptr<A>(), sum.stride(0)};
  const int64_t blocks = (width + kColumns - 1) / kColumns;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    const int64_t column = begin * kColumns, count = std::min(end * kColumns, width) - column;
    for (int64_t row = 0; row < rows; row += kRows)
      kernels::add_outer<A>({std::min(kRows, rows - row), left.size(1), count},
                            static_cast<A>(scaling), l.from(row, 0), r.from(row, column),
                            s.from(0, column));
  });
}

}  // namespace

at::Tensor product_over_rows(const at::Tensor& left, const at::Tensor& right, double scaling) {
  at::Tensor sum = at::zeros({left.size(1), right.size(1)}, right.options());
  if (!suits_kernel(left, right))
    return at::addmm_out(sum, sum, left.t(), right, /*beta=*/0, /*alpha=*/scaling);
  if (left.scalar_type() == at::kFloat)
    add_products<float>(left, right, scaling, sum);
  else
    add_products<double>(left, right, scaling, sum);
  return sum;
}

}  // namespace lmoe::nn
