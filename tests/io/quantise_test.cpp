#include "io/quantise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "io/dequantise.h"
#include "kernels/half_float.h"

namespace lmoe::io {
namespace {

using kernels::half_to_float;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_values(size_t count, double scale) {
  Rng rng(5);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(scale * (rng.uniform() - 0.5));
  return values;
}

/// Written and read again; empty where it could not be written.
std::vector<float> there_and_back(DType dtype, const std::vector<float>& values) {
  const auto count = static_cast<int64_t>(values.size());
  std::vector<std::byte> bytes(
      static_cast<size_t>(count / block_elements(dtype) * block_bytes(dtype)));
  if (!encode_elements(dtype, values.data(), count, bytes.data())) return {};
  std::vector<float> read(values.size());
  decode_elements(dtype, bytes.data(), count, read.data());
  return read;
}

TEST(Quantise, EveryHalfComesBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = half_to_float(static_cast<uint16_t>(half));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    } else {
      ASSERT_EQ(float_to_half(value), half);
    }
  }
}

TEST(Quantise, HalvesRoundToNearestAndTiesToEven) {
  for (uint32_t half = 0; half < 0x7BFF; ++half) {
    const float low = half_to_float(static_cast<uint16_t>(half));
    const float high = half_to_float(static_cast<uint16_t>(half + 1));
    const float middle = (low + high) / 2;  // exact
    ASSERT_EQ(float_to_half(middle), half + (half & 1));
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(float_to_half(std::nextafter(middle, kInfinity)), half + 1);
  }
  EXPECT_EQ(float_to_half(65519.9F), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(float_to_half(-kInfinity), 0xFC00);
}

TEST(Quantise, BlocksAreAsCloseAsTheirScaleAllows) {
  for (const double scale : {1e-3, 1.0, 1e3}) {
    const std::vector<float> values = random_values(32 * 50, scale);
    for (const auto& [dtype, steps] : {std::pair{DType::kQ8_0, 127.0}, {DType::kQ4_1, 15.0}}) {
      const std::vector<float> read = there_and_back(dtype, values);
      ASSERT_EQ(read.size(), values.size());
      for (size_t first = 0; first < values.size(); first += 32) {
        const auto [least, most] = std::minmax_element(&values[first], &values[first] + 32);
        const double range =
            dtype == DType::kQ8_0 ? std::max(std::fabs(*least), std::fabs(*most)) : *most - *least;
        // Half a step, and the rounding of halves: 11 bits, and none below 2^-24.
        const double allowed =
            range / steps / 2 + 0x1p-11 * (range + std::fabs(*least)) + 0x1p-25 * (steps + 1);
        for (size_t i = first; i < first + 32; ++i) ASSERT_NEAR(read[i], values[i], allowed);
      }
    }
  }
}

TEST(Quantise, WhatABlockCanHoldStaysAsItIs) {
  std::vector<float> values(32);
  for (int i = 0; i < 32; ++i) values[static_cast<size_t>(i)] = 0.25F * static_cast<float>(i % 16);
  for (float& value : values) value -= 1.5F;
  EXPECT_EQ(there_and_back(DType::kQ4_1, values), values);
  for (int i = 0; i < 32; ++i)
    values[static_cast<size_t>(i)] = 0.5F * static_cast<float>(i == 3 ? -127 : 4 * i);
  EXPECT_EQ(there_and_back(DType::kQ8_0, values), values);
  for (const DType dtype : {DType::kQ8_0, DType::kQ4_1}) {
    std::fill(values.begin(), values.end(), 0.0F);
    EXPECT_EQ(there_and_back(dtype, values), values);
  }
}

TEST(Quantise, Bfloat16RoundsToNearestAndTiesToEven) {
  const float tie_down = std::bit_cast<float>(0x3F808000U),
              tie_up = std::bit_cast<float>(0x3F818000U);
  const std::vector<float> read =
      there_and_back(DType::kBF16, {tie_down, tie_up, -kInfinity, std::nanf("")});
  EXPECT_EQ(read[0], std::bit_cast<float>(0x3F800000U));
  EXPECT_EQ(read[1], std::bit_cast<float>(0x3F820000U));
  EXPECT_EQ(read[2], -kInfinity);
  EXPECT_TRUE(std::isnan(read[3]));
}

TEST(Quantise, SaysWhatBlocksCannotHold) {
  for (const DType dtype : {DType::kQ8_0, DType::kQ4_1}) {
    for (const float bad : {kInfinity, -kInfinity, std::nanf(""), 1e30F}) {
      for (const size_t place : {0U, 17U, 63U}) {
        std::vector<float> values = random_values(64, 1.0);
        values[place] = bad;
        EXPECT_TRUE(there_and_back(dtype, values).empty());
      }
    }
  }
  EXPECT_THROW(there_and_back(DType::kQ6_K, random_values(256, 1.0)), Error);
}

}  // namespace
}  // namespace lmoe::io
