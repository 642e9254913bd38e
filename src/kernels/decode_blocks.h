// Numbers as files hold them, one by one or in blocks of ggml (all little-endian), turned into
// float32 bit for bit as the `gguf` package does it.
#pragma once

#include <cstdint>

namespace lmoe::kernels {

/// A layout of kElements numbers in kBytes bytes.
template <int64_t kCount, int64_t kSize>
struct Block {
  static constexpr int64_t kElements = kCount, kBytes = kSize;
};

struct F16 : Block<1, 2> {};
struct BF16 : Block<1, 2> {};
struct Q4_0 : Block<32, 18> {};
struct Q4_1 : Block<32, 20> {};
struct Q5_0 : Block<32, 22> {};
struct Q5_1 : Block<32, 24> {};
struct Q8_0 : Block<32, 34> {};
struct Q4_K : Block<256, 144> {};
struct Q5_K : Block<256, 176> {};
struct Q6_K : Block<256, 210> {};

/// Decodes `count` blocks of a layout from above that lie side by side, at any address. All
/// instruction sets give the same bits.
template <class Layout>
void decode_blocks(const uint8_t* in, int64_t count, float* out);

}  // namespace lmoe::kernels
