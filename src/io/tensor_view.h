// A tensor inside a file: name, type, shape and a view of its bytes. Nothing is copied or
// converted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lmoe::io {

/// Element or block types of the files we read.
enum class DType {
  kF64,
  kF32,
  kF16,
  kBF16,
  kI64,
  kI32,
  kI16,
  kI8,
  kU8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K
};

const char* dtype_name(DType dtype);
/// Elements per block: 1 for plain types, 32 or 256 for quantised ones.
int64_t block_elements(DType dtype);
/// Bytes per block (per element for plain types).
int64_t block_bytes(DType dtype);
inline bool is_quantised(DType dtype) { return block_elements(dtype) > 1; }

/// "[576, 1536]"; -1 is written "any".
std::string shape_text(const std::vector<int64_t>& shape);

/// Row-major; shapes are in PyTorch order ([out, in] for a linear), also for GGUF.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  /// Throws kCorruptData on overflow (never for a view that a reader of this room made).
  int64_t elements() const;
  std::string shape_text() const;
};

/// Converts every element (dequantising) to float32. `out.size()` must equal `view.elements()`.
/// Throws kUnsupported for integer types, kInvalidArgument when sizes do not agree.
void to_float32(const TensorView& view, std::span<float> out);

/// Throws kUnsupported, naming the tensor, for the types that `to_float32` does not convert.
void check_floating(const TensorView& view);

}  // namespace lmoe::io
