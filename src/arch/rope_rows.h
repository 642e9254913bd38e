// The order of the rows of q and k. Hugging Face rotates halves (i, i + D/2); GGUF files of Llama
// keep the pairs side by side (2i, 2i + 1), so their rows are permuted inside each head.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lmoe::arch {

/// GGUF's order to Hugging Face's, in place; rows are [heads * head_dim] of equal length (1 for
/// biases), of values or of what they are stored as.
void unpermute_rope_rows(std::span<float> values, int64_t heads, int64_t head_dim);
void unpermute_rope_rows(std::span<std::byte> bytes, int64_t heads, int64_t head_dim);

}  // namespace lmoe::arch
