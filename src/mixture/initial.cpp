#include "mixture/initial.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"

namespace lmoe::mixture {
namespace {

template <class Draw>
void fill(const at::Tensor& tensor, const Draw& draw) {
  LMOE_CHECK_ARG(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble,
                 "[mixture] parameters are float32 or float64: given ",
                 c10::toString(tensor.scalar_type()));
  LMOE_ASSERT(tensor.is_contiguous());
  if (!tensor.device().is_cpu()) {
    const at::Tensor drawn = at::empty(tensor.sizes(), tensor.options().device(at::kCPU));
    fill(drawn, draw);
    tensor.copy_(drawn);
    return;
  }
  const int64_t count = tensor.numel();
  if (tensor.scalar_type() == at::kFloat) {
    float* out = tensor.data_ptr<float>();
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(draw());
  } else {
    double* out = tensor.data_ptr<double>();
    for (int64_t i = 0; i < count; ++i) out[i] = draw();
  }
}

}  // namespace

at::Tensor gate_parameter(int64_t rows,
                          int64_t width,
                          const spec::GateSpec& spec,
                          const at::TensorOptions& options,
                          Rng& rng) {
  at::Tensor tensor = at::empty({rows, width}, options);
  if (spec.init == spec::GateInit::kKaimingUniform)
    fill_uniform(tensor, 1.0 / std::sqrt(static_cast<double>(width)), rng);
  else
    fill_normal(tensor, spec.init_range, rng);
  return tensor.requires_grad_(true);
}

at::Tensor zero_parameter(const std::vector<int64_t>& shape, const at::TensorOptions& options) {
  return at::zeros(shape, options).requires_grad_(true);
}

void fill_uniform(const at::Tensor& tensor, double bound, Rng& rng) {
  fill(tensor, [&] { return rng.uniform(-bound, bound); });
}

void fill_sparse(const at::Tensor& tensor, double density, double deviation, Rng& rng) {
  const int64_t width = tensor.size(1);
  const auto count = static_cast<size_t>(density * static_cast<double>(width));
  LMOE_CHECK_ARG(count > 0, "[mixture] experts.a_density: given ", density,
                 ", which leaves no input of ", width, " to a row of A");
  at::Tensor filled = at::zeros(tensor.sizes(), at::TensorOptions().dtype(at::kDouble));
  std::vector<int64_t> columns(static_cast<size_t>(width));
  std::iota(columns.begin(), columns.end(), 0);
  for (int64_t row = 0; row < tensor.size(0); ++row) {
    rng.shuffle(std::span(columns));
    double* values = filled.data_ptr<double>() + row * width;
    for (size_t i = 0; i < count; ++i) values[columns[i]] = deviation * rng.normal();
  }
  tensor.copy_(filled);
}

void fill_normal(const at::Tensor& tensor, double deviation, Rng& rng) {
  fill(tensor, [&] { return deviation * rng.normal(); });
}

}  // namespace lmoe::mixture
