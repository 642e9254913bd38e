#include "arch/rope_rows.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "base/error.h"

namespace lmoe::arch {
namespace {

/// What llama.cpp's converter does: gguf[2i + p] = hf[p * D/2 + i], in each head.
std::vector<float> permute(const std::vector<float>& hf, size_t heads, size_t head_dim) {
  std::vector<float> stored(hf.size());
  const size_t width = hf.size() / (heads * head_dim);
  for (size_t row = 0; row < heads * head_dim; ++row) {
    const size_t in_head = row % head_dim;
    const size_t from = row - in_head + (in_head % 2) * head_dim / 2 + in_head / 2;
    for (size_t column = 0; column < width; ++column)
      stored[row * width + column] = hf[from * width + column];
  }
  return stored;
}

TEST(RopeRows, UndoWhatTheConverterDoes) {
  for (const size_t width : {size_t{1}, size_t{5}}) {
    std::vector<float> hf(3 * 8 * width);
    std::iota(hf.begin(), hf.end(), 0.0F);
    std::vector<float> values = permute(hf, 3, 8);
    EXPECT_NE(values, hf);
    unpermute_rope_rows(values, 3, 8);
    EXPECT_EQ(values, hf);
  }
}

TEST(RopeRows, OrderOfOneHead) {
  // Hugging Face's rows 0 to 7 lie in GGUF as 0, 4, 1, 5, 2, 6, 3, 7.
  std::vector<float> values = {0, 4, 1, 5, 2, 6, 3, 7};
  unpermute_rope_rows(values, 1, 8);
  EXPECT_EQ(values, (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(RopeRows, SizesMustFit) {
  std::vector<float> values(12);
  EXPECT_THROW(unpermute_rope_rows(values, 1, 8), Error);
  EXPECT_THROW(unpermute_rope_rows(values, 4, 3), Error);
  EXPECT_THROW(unpermute_rope_rows(values, 0, 8), Error);
}

}  // namespace
}  // namespace lmoe::arch
