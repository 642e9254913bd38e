// A frozen weight matrix: a tensor in the type it is multiplied in, or the bytes of a smaller type,
// expanded where they are used.
//
//   FrozenMatrix w(tensor);                    // dense: everything below is a view of it
//   FrozenMatrix w(std::move(stored), at::kFloat);
//   y = product(x, w.borrow());                // expanded for now
//   w.gather(ids)                              // these rows alone
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "io/stored_tensor.h"

namespace lmoe::nn {

/// Copies are handles of the same weights.
class FrozenMatrix {
 public:
  FrozenMatrix() = default;
  /// [rows, columns]
  FrozenMatrix(at::Tensor dense);
  /// `dtype` (float32, bfloat16, float64) is what rows are expanded to. Throws kInvalidArgument
  /// where a row is no whole number of blocks.
  FrozenMatrix(io::StoredTensor stored, at::ScalarType dtype);

  bool is_dense() const { return stored_ == nullptr; }
  bool is_same(const FrozenMatrix& other) const;
  at::ScalarType dtype() const { return dtype_; }
  /// Of what it is multiplied with; smaller types are expanded on the CPU.
  at::Device device() const { return is_dense() ? dense_.device() : at::Device(at::kCPU); }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  std::vector<int64_t> sizes() const { return {rows_, columns_}; }
  int64_t numel() const { return rows_ * columns_; }
  int64_t bytes() const;  ///< in memory

  /// All of it; to keep.
  at::Tensor expand() const;
  /// For now: expanded into a buffer that the next call on this thread, of any matrix, fills anew.
  at::Tensor borrow() const { return borrow(0, rows_); }
  at::Tensor borrow(int64_t first_row, int64_t rows) const;
  /// ids [N] int64 within `rows()`, on any device -> [N, columns].
  at::Tensor gather(const at::Tensor& ids) const;

 private:
  at::Tensor dense_;
  std::shared_ptr<const io::StoredTensor> stored_;
  at::ScalarType dtype_ = at::kFloat;
  int64_t rows_ = 0, columns_ = 0;
};

/// The same matrix rounded to `dtype` (io/quantise.h says to which). Throws kInvalidArgument where
/// a row is no whole number of blocks, kCorruptData where weights are not finite or too large for
/// it.
io::StoredTensor rounded_to(io::DType dtype, const io::StoredTensor& matrix);

}  // namespace lmoe::nn
