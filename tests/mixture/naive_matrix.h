// Rows and products of matrices in plain loops over doubles.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace lmoe::test {

using Vector = std::vector<double>;

inline Vector row(const at::Tensor& matrix, int64_t index) {
  const at::Tensor values = matrix.detach()[index].to(at::kDouble).contiguous();
  return Vector(values.data_ptr<double>(), values.data_ptr<double>() + values.numel());
}

inline Vector times(const at::Tensor& matrix, const Vector& x) {
  Vector y;
  for (int64_t i = 0; i < matrix.size(0); ++i) {
    const Vector weights = row(matrix, i);
    double sum = 0;
    for (size_t j = 0; j < x.size(); ++j) sum += weights[j] * x[j];
    y.push_back(sum);
  }
  return y;
}

}  // namespace lmoe::test
