#include "nn/frozen_matrix.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/error.h"
#include "io/dequantise.h"
#include "io/quantise.h"
#include "nn/dispatch.h"

namespace lmoe::nn {
namespace {

int64_t bytes_of(io::DType dtype, int64_t elements) {
  return elements / io::block_elements(dtype) * io::block_bytes(dtype);
}

void check_blocks(io::DType dtype, const io::StoredTensor& matrix) {
  LMOE_ASSERT(matrix.shape.size() == 2);
  LMOE_CHECK_ARG(matrix.shape[1] % io::block_elements(dtype) == 0, "[load_base] tensor ",
                 matrix.name, " ", io::shape_text(matrix.shape), " cannot be kept as ",
                 io::dtype_name(dtype), ", whose blocks have ", io::block_elements(dtype),
                 " elements of a row; hint: frozen_weights=bf16");
}

/// Rows of a stored matrix that lie side by side, as T.
template <class T>
void decode_rows(const io::StoredTensor& stored, int64_t first, int64_t rows, T* out) {
  const int64_t columns = stored.shape[1];
  const std::byte* in = stored.bytes.data() + first * bytes_of(stored.dtype, columns);
  if constexpr (std::is_same_v<T, float>) {
    io::decode_elements(stored.dtype, in, rows * columns, out);
  } else {
    std::vector<float> values(static_cast<size_t>(columns));
    for (int64_t row = 0; row < rows; ++row, in += bytes_of(stored.dtype, columns)) {
      io::decode_elements(stored.dtype, in, columns, values.data());
      std::transform(values.begin(), values.end(), out + row * columns,
                     [](float value) { return static_cast<T>(value); });
    }
  }
}

void expand_rows(const io::StoredTensor& stored, int64_t first, at::Tensor& out) {
  dispatch_dtype(out, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t columns = out.size(1);
    T* values = out.data_ptr<T>();
    parallel_rows(out.size(0), columns, [&](int64_t begin, int64_t end) {
      decode_rows(stored, first + begin, end - begin, values + begin * columns);
    });
  });
}

/// What is expanded for now. Kept: memory that is new each time costs more than what it receives.
at::Tensor buffer(int64_t elements, at::ScalarType dtype) {
  thread_local at::Tensor kept;
  if (!kept.defined() || kept.scalar_type() != dtype || kept.numel() < elements)
    kept = at::empty({elements}, dtype);
  return kept.narrow(/*dim=*/0, 0, elements);
}

}  // namespace

FrozenMatrix::FrozenMatrix(at::Tensor dense) : dense_(std::move(dense)) {
  LMOE_ASSERT(dense_.dim() == 2);
  dtype_ = dense_.scalar_type();
  rows_ = dense_.size(0);
  columns_ = dense_.size(1);
}

FrozenMatrix::FrozenMatrix(io::StoredTensor stored, at::ScalarType dtype) : dtype_(dtype) {
  check_blocks(stored.dtype, stored);
  rows_ = stored.shape[0];
  columns_ = stored.shape[1];
  LMOE_ASSERT(static_cast<int64_t>(stored.bytes.size()) == bytes_of(stored.dtype, numel()));
  stored_ = std::make_shared<const io::StoredTensor>(std::move(stored));
}

bool FrozenMatrix::is_same(const FrozenMatrix& other) const {
  return is_dense() ? dense_.is_same(other.dense_) : stored_ == other.stored_;
}

int64_t FrozenMatrix::bytes() const {
  return is_dense() ? numel() * static_cast<int64_t>(at::elementSize(dtype_))
                    : static_cast<int64_t>(stored_->bytes.size());
}

at::Tensor FrozenMatrix::expand() const {
  if (is_dense()) return dense_;
  at::Tensor out = at::empty({rows_, columns_}, dtype_);
  expand_rows(*stored_, 0, out);
  return out;
}

at::Tensor FrozenMatrix::borrow(int64_t first_row, int64_t rows) const {
  if (is_dense()) return rows == rows_ ? dense_ : dense_.narrow(/*dim=*/0, first_row, rows);
  at::Tensor out = buffer(rows * columns_, dtype_).view({rows, columns_});
  expand_rows(*stored_, first_row, out);
  return out;
}

at::Tensor FrozenMatrix::gather(const at::Tensor& ids) const {
  if (is_dense()) return at::embedding(dense_, ids.to(dense_.device()));
  const at::Tensor rows = ids.to(at::kCPU).contiguous();
  const int64_t* numbers = rows.const_data_ptr<int64_t>();
  at::Tensor out = at::empty({rows.size(0), columns_}, dtype_);
  dispatch_dtype(out, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* values = out.data_ptr<T>();
    parallel_rows(out.size(0), columns_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        decode_rows(*stored_, numbers[i], 1, values + i * columns_);
    });
  });
  return out;
}

io::StoredTensor rounded_to(io::DType dtype, const io::StoredTensor& matrix) {
  check_blocks(dtype, matrix);
  const int64_t rows = matrix.shape[0], columns = matrix.shape[1];
  io::StoredTensor rounded{matrix.name, dtype, matrix.shape, {}};
  rounded.bytes.resize(static_cast<size_t>(bytes_of(dtype, rows * columns)));
  std::atomic<bool> is_whole = true;
  parallel_rows(rows, columns, [&](int64_t begin, int64_t end) {
    std::vector<float> values(static_cast<size_t>(columns));
    for (int64_t row = begin; row < end; ++row) {
      decode_rows(matrix, row, 1, values.data());
      if (!io::encode_elements(dtype, values.data(), columns,
                               rounded.bytes.data() + row * bytes_of(dtype, columns)))
        is_whole = false;
    }
  });
  LMOE_CHECK_DATA(is_whole, "[load_base] tensor ", matrix.name, " has weights that ",
                  io::dtype_name(dtype),
                  " cannot hold: not finite, or too large; hint: frozen_weights=bf16");
  return rounded;
}

}  // namespace lmoe::nn
