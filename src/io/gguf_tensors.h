// The tensor table of a GGUF file.
#pragma once

#include "io/byte_reader.h"
#include "io/tensor_table.h"

namespace lmoe::io {

/// Reads `count` descriptions and finds their bytes in the data area, which begins at the next
/// multiple of `alignment`. Throws kCorruptData, kUnsupported (types that are not dequantised, by
/// name).
TensorTable read_gguf_tensors(ByteReader& reader, uint64_t count, uint64_t alignment);

}  // namespace lmoe::io
