// Many tensors worked on as if they were one flat buffer, in one pass by all threads.
//
//   share_out({1'000, 300'000, 20}, [&](std::span<const Slice> slices) { … });
//
// Tensors stay where they are: autograd hands a gradient over instead of adding it to a buffer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace lmoe::train {

/// The elements of one of the tensors from `begin` on.
struct Slice {
  size_t tensor;
  int64_t begin, size;

  /// Of the tensor as [N]; sharing memory. [size]
  at::Tensor of(const at::Tensor& flat) const {
    return size == flat.numel() ? flat : flat.narrow(/*dim=*/0, begin, size);
  }
};

/// Where slices may begin: at multiples of it, so that an element is in a whole vector or in what
/// is left of its tensor whatever the number of threads.
inline constexpr int64_t kSliceUnit = 4096;

/// Calls `work` in every thread with its share of tensors of so many elements, at most one unit
/// more or less than an equal part. Operations inside run in that thread alone.
void share_out(const std::vector<int64_t>& sizes,
               const std::function<void(std::span<const Slice>)>& work);

}  // namespace lmoe::train
