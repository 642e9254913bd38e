// k-shot.md: records like the samples, without near copies of each other.
#include "kshot/choose_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace lmoe::kshot {
namespace {

using ::testing::ElementsAre;

constexpr double kDegree = 3.14159265358979323846 / 180;

/// Points of the unit circle.
std::vector<float> at_angles(const std::vector<double>& degrees) {
  std::vector<float> rows;
  for (const double angle : degrees) {
    rows.push_back(static_cast<float>(std::cos(angle * kDegree)));
    rows.push_back(static_cast<float>(std::sin(angle * kDegree)));
  }
  return rows;
}

std::vector<int64_t> records_of(const std::vector<SimilarRecord>& chosen) {
  std::vector<int64_t> records;
  for (const SimilarRecord& one : chosen) records.push_back(one.record);
  return records;
}

TEST(Cosine, EqualsTheSumInAnyWidth) {
  Rng rng(1);
  for (const size_t width : {1u, 15u, 16u, 17u, 64u, 83u}) {
    std::vector<float> a(width), b(width);
    double expected = 0.0;
    for (size_t i = 0; i < width; ++i) {
      a[i] = static_cast<float>(rng.normal());
      b[i] = static_cast<float>(rng.normal());
      expected += static_cast<double>(a[i]) * b[i];
    }
    EXPECT_NEAR(cosine(a, b), expected, 1e-5 * static_cast<double>(width));
  }
}

TEST(MostSimilar, GoesByTheNearestSample) {
  const auto open = at_angles({50, 10, 85, 200, 8}), samples = at_angles({0, 90});
  const auto chosen = most_similar({open, 2}, {samples, 2}, 4);
  EXPECT_THAT(records_of(chosen), ElementsAre(2, 4, 1, 0));
  EXPECT_EQ(chosen[0].sample, 1);
  EXPECT_EQ(chosen[1].sample, 0);
  EXPECT_NEAR(chosen[0].cosine, std::cos(5 * kDegree), 1e-6);
  EXPECT_NEAR(chosen[3].cosine, std::cos(40 * kDegree), 1e-6);
}

TEST(MostSimilar, OfEqualsTheFirstAndAllWhereThereAreFewer) {
  const auto open = at_angles({30, 20, 20, 30}), samples = at_angles({0, 0});
  EXPECT_THAT(records_of(most_similar({open, 2}, {samples, 2}, 3)), ElementsAre(1, 2, 0));
  const auto all = most_similar({open, 2}, {samples, 2}, 100);
  EXPECT_THAT(records_of(all), ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(all[0].sample, 0);
}

TEST(WithoutCopies, KeepsBothEndsOfAChain) {
  const auto open = at_angles({10, 30, 50}), samples = at_angles({0});  // neighbours: cos 20 = 0.94
  const auto chosen = most_similar({open, 2}, {samples, 2}, 3);
  EXPECT_THAT(records_of(without_copies({open, 2}, chosen, 0.9)), ElementsAre(0, 2));
  EXPECT_THAT(records_of(without_copies({open, 2}, chosen, 0.95)), ElementsAre(0, 1, 2));
  EXPECT_THAT(records_of(without_copies({open, 2}, chosen, 0.7)), ElementsAre(0));
}

TEST(WithoutCopies, LeavesNoPairAboveTheThreshold) {
  Rng rng(5);
  constexpr int64_t kWidth = 5, kRecords = 200;
  std::vector<float> open;
  for (int64_t i = 0; i < kRecords; ++i) {
    float row[kWidth], squares = 0;
    for (float& value : row) {
      value = static_cast<float>(rng.normal());
      squares += value * value;
    }
    for (const float value : row) open.push_back(value / std::sqrt(squares));
  }
  const UnitRows rows{open, kWidth};
  const UnitRows samples{std::span<const float>(open).first(3 * kWidth), kWidth};
  const auto chosen = most_similar(rows, samples, 150);
  const auto kept = without_copies(rows, chosen, 0.6);
  EXPECT_LT(kept.size(), chosen.size());
  EXPECT_GT(kept.size(), 5u);
  for (size_t i = 1; i < kept.size(); ++i) {
    EXPECT_LE(kept[i].cosine, kept[i - 1].cosine);
    for (size_t j = 0; j < i; ++j)
      EXPECT_LE(cosine(rows.row(kept[i].record), rows.row(kept[j].record)), 0.6);
  }
}

}  // namespace
}  // namespace lmoe::kshot
