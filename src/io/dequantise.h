// Elements and block layouts of files turned into float32 (kernels/decode_blocks.h), by type.
#pragma once

#include <cstddef>
#include <cstdint>

#include "io/tensor_view.h"

namespace lmoe::io {

/// Decodes `elements`, whole blocks of them, of any floating point or quantised type. Has no
/// threads of its own. Throws kUnsupported for integer types.
void decode_elements(DType dtype, const std::byte* in, int64_t elements, float* out);

}  // namespace lmoe::io
