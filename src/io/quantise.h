// float32 turned into smaller types: the other way round than dequantise.h, and not without loss.
#pragma once

#include <cstddef>
#include <cstdint>

#include "io/tensor_view.h"

namespace lmoe::io {

/// To nearest, ties to even; too large becomes infinite.
uint16_t float_to_half(float value);

/// Encodes `elements`, whole blocks of them, by the formulas of ggml:
///
///   kBF16   rounded to nearest, ties to even
///   kQ8_0   32 numbers -127 to 127 times a scale, the largest magnitude / 127
///   kQ4_1   32 numbers 0 to 15 times a scale, (largest - smallest) / 15, plus the smallest
///
/// Scales and smallest numbers are half floats, but numbers are chosen for the unrounded ones.
/// Returns whether all could be written: false where a block has a number that is not finite, or a
/// scale beyond half floats. Throws kUnsupported for other types.
bool encode_elements(DType dtype, const float* in, int64_t elements, std::byte* out);

}  // namespace lmoe::io
