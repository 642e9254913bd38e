// How many bytes a tensor of a file takes, counted without wrapping.
#pragma once

#include <cstdint>
#include <string>

#include "io/tensor_view.h"

namespace lmoe::io {

/// By type and shape. Throws kCorruptData, beginning with `where` (file and tensor), when the bytes
/// do not fit 63 bits.
uint64_t byte_size(const TensorView& view, const std::string& where);

}  // namespace lmoe::io
