#include "train/gradients.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "train/flat_shares.h"

namespace lmoe::train {
namespace {

/// Those there are.
struct Gradients {
  explicit Gradients(const std::vector<nn::NamedTensor>& parameters) {
    for (const nn::NamedTensor& parameter : parameters) {
      const at::Tensor& gradient = parameter.tensor.grad();
      if (!gradient.defined()) continue;
      LMOE_ASSERT(gradient.is_contiguous());
      tensors.push_back(gradient);
      sizes.push_back(gradient.numel());
    }
  }
  std::vector<at::Tensor> tensors;
  std::vector<int64_t> sizes;
};

/// In an order that depends on `size` alone.
template <class T>
double sum_of_squares(const T* values, int64_t size) {
  constexpr int64_t kLanes = 8;
  std::array<double, kLanes> sums{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const auto value = static_cast<double>(values[i + lane]);
      sums[static_cast<size_t>(lane)] += value * value;
    }
  }
  for (; i < size; ++i) sums[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

template <class T>
void scale(T* values, int64_t size, T factor) {
  for (int64_t i = 0; i < size; ++i) values[i] *= factor;
}

}  // namespace

double gradient_norm(const std::vector<nn::NamedTensor>& parameters) {
  const Gradients gradients(parameters);
  std::vector<std::vector<double>> sums;  // of each tensor's units
  for (const int64_t size : gradients.sizes)
    sums.emplace_back(static_cast<size_t>((size + kSliceUnit - 1) / kSliceUnit));
  share_out(gradients.sizes, [&](std::span<const Slice> slices) {
    for (const Slice& slice : slices) {
      const at::Tensor& gradient = gradients.tensors[slice.tensor];
      const int64_t end = slice.begin + slice.size;
      for (int64_t begin = slice.begin; begin < end; begin += kSliceUnit) {
        const int64_t size = std::min(kSliceUnit, end - begin);
        sums[slice.tensor][static_cast<size_t>(begin / kSliceUnit)] =
            gradient.scalar_type() == at::kDouble
                ? sum_of_squares(gradient.const_data_ptr<double>() + begin, size)
                : sum_of_squares(gradient.const_data_ptr<float>() + begin, size);
      }
    }
  });
  double sum = 0.0;
  for (const std::vector<double>& units : sums)
    sum = std::accumulate(units.begin(), units.end(), sum);
  return std::sqrt(sum);
}

void clip_gradients(const std::vector<nn::NamedTensor>& parameters, double norm, double max_norm) {
  if (max_norm <= 0.0 || norm <= max_norm) return;
  const Gradients gradients(parameters);
  const double factor = max_norm / norm;
  share_out(gradients.sizes, [&](std::span<const Slice> slices) {
    for (const Slice& slice : slices) {
      const at::Tensor& gradient = gradients.tensors[slice.tensor];
      if (gradient.scalar_type() == at::kDouble)
        scale(gradient.mutable_data_ptr<double>() + slice.begin, slice.size, factor);
      else
        scale(gradient.mutable_data_ptr<float>() + slice.begin, slice.size,
              static_cast<float>(factor));
    }
  });
}

void clear_gradients(const std::vector<nn::NamedTensor>& parameters) {
  for (const nn::NamedTensor& parameter : parameters)
    at::Tensor(parameter.tensor).mutable_grad() = at::Tensor();
}

}  // namespace lmoe::train
