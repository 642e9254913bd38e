#include "kernels/decode_blocks.h"

#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

// The layouts as their formulas say, number by number: number `i` of block `b`. Products and sums
// are exact in double, so each result is rounded once.

int little_endian(const uint8_t* at) { return at[0] | (at[1] << 8); }

double half(const uint8_t* at) {
  const int bits = little_endian(at);
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  double value = std::ldexp(exponent == 0 ? mantissa : mantissa + 1024, std::max(exponent, 1) - 25);
  if (exponent == 31) value = mantissa == 0 ? INFINITY : NAN;
  return (bits >> 15) != 0 ? -value : value;
}

/// Of 32 numbers, low halves of all bytes before high halves.
int nibble(const uint8_t* quants, int i) { return i < 16 ? quants[i] & 15 : quants[i - 16] >> 4; }
int bit(const uint8_t* bits, int i) { return (bits[i / 8] >> (i % 8)) & 1; }

double number(F16 /*layout*/, const uint8_t* b, int /*i*/) { return half(b); }
double number(BF16 /*layout*/, const uint8_t* b, int /*i*/) {
  return value_of(BFloat16{static_cast<uint16_t>(little_endian(b))});
}
double number(Q4_0 /*layout*/, const uint8_t* b, int i) { return half(b) * (nibble(b + 2, i) - 8); }
double number(Q4_1 /*layout*/, const uint8_t* b, int i) {
  return half(b) * nibble(b + 4, i) + half(b + 2);
}
double number(Q5_0 /*layout*/, const uint8_t* b, int i) {
  return half(b) * (nibble(b + 6, i) + 16 * bit(b + 2, i) - 16);
}
double number(Q5_1 /*layout*/, const uint8_t* b, int i) {
  return half(b) * (nibble(b + 8, i) + 16 * bit(b + 4, i)) + half(b + 2);
}
double number(Q8_0 /*layout*/, const uint8_t* b, int i) {
  return half(b) * static_cast<int8_t>(b[2 + i]);
}

/// Of eight sub-blocks; scales are the first four bytes, minima the next, and the upper bits of
/// the last four of each lie above those of the first four.
double scaled(const uint8_t* b, int s, int quant) {
  const uint8_t *scale = b + 4, *minimum = b + 8, *rest = b + 12;
  const int upper = s < 4 ? 0 : 1, k = s % 4;
  const int own_scale = upper == 0 ? scale[k] & 63 : (rest[k] & 15) + 16 * (scale[k] >> 6);
  const int own_minimum = upper == 0 ? minimum[k] & 63 : (rest[k] >> 4) + 16 * (minimum[k] >> 6);
  return half(b) * own_scale * quant - half(b + 2) * own_minimum;
}
int nibble_of_k(const uint8_t* quants, int i) {
  return (quants[32 * (i / 64) + i % 32] >> (4 * (i / 32 % 2))) & 15;
}
double number(Q4_K /*layout*/, const uint8_t* b, int i) {
  return scaled(b, i / 32, nibble_of_k(b + 16, i));
}
double number(Q5_K /*layout*/, const uint8_t* b, int i) {
  const int high = (b[16 + i % 32] >> (i / 32)) & 1;
  return scaled(b, i / 32, nibble_of_k(b + 48, i) + 16 * high);
}
double number(Q6_K /*layout*/, const uint8_t* b, int i) {
  const int part = i / 32 % 4, l = i % 32;
  const uint8_t *low = b + 64 * (i / 128), *high = b + 128 + 32 * (i / 128);
  const int quant =
      ((low[32 * (part % 2) + l] >> (4 * (part / 2))) & 15) + 16 * ((high[l] >> (2 * part)) & 3);
  return half(b + 208) * static_cast<int8_t>(b[192 + i / 16]) * (quant - 32);
}

template <class Layout>
std::vector<float> decoded_one_by_one(const std::vector<uint8_t>& bytes) {
  std::vector<float> values;
  for (size_t b = 0; b < bytes.size() / Layout::kBytes; ++b)
    for (int i = 0; i < Layout::kElements; ++i)
      values.push_back(static_cast<float>(number(Layout(), &bytes[b * Layout::kBytes], i)));
  return values;
}

/// NaN is NaN, whatever its bits.
void expect_same_bits(const float* got, const float* expected, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (std::isnan(got[i]) && std::isnan(expected[i])) continue;
    ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(expected[i]))
        << "value " << i << " of " << count << ": " << got[i] << ", not " << expected[i];
  }
}

template <class Layout>
void expect_decoded(const std::vector<uint8_t>& bytes, const std::vector<float>& expected) {
  const auto count = std::ssize(bytes) / Layout::kBytes;
  // At an odd address, with nothing behind.
  std::vector<uint8_t> moved(1);
  moved.insert(moved.end(), bytes.begin(), bytes.end());
  Guarded<float> out(count * Layout::kElements);
  decode_blocks<Layout>(moved.data() + 1, count, out.data());
  out.result();
  expect_same_bits(out.data(), expected.data(), count * Layout::kElements);
}

template <class T>
class DecodeBlocks : public testing::Test {};
using Layouts = testing::Types<F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K>;
TYPED_TEST_SUITE(DecodeBlocks, Layouts);

TYPED_TEST(DecodeBlocks, follow_the_formulas_bit_for_bit) {
  using Layout = TypeParam;
  Rng rng(7);
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < kLongest * Layout::kBytes; ++i)
    bytes.push_back(static_cast<uint8_t>(rng.below(256)));
  const auto expected = decoded_one_by_one<Layout>(bytes);
  on_every_target([&] {
    for (int64_t count = 0; count <= kLongest; ++count)
      expect_decoded<Layout>({bytes.begin(), bytes.begin() + count * Layout::kBytes}, expected);
  });
}

TEST(Decode16Bits, knows_all_numbers_of_16_bits) {
  std::vector<uint8_t> bytes;
  for (int bits = 0; bits < 0x10000; ++bits) {
    bytes.push_back(static_cast<uint8_t>(bits & 255));
    bytes.push_back(static_cast<uint8_t>(bits >> 8));
  }
  const auto halves = decoded_one_by_one<F16>(bytes), upper = decoded_one_by_one<BF16>(bytes);
  on_every_target([&] {
    expect_decoded<F16>(bytes, halves);
    expect_decoded<BF16>(bytes, upper);
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
