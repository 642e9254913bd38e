// The invariants of rtd.md (arXiv 2409.20181).
#include "nn/nearest_references.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "support/gradient_check.h"

namespace lmoe::nn {
namespace {

constexpr int64_t kQueries = 5, kReferences = 40, kWidth = 6, kValues = 4;

at::Tensor numbers(int64_t rows, uint64_t seed, int64_t width = kWidth) {
  at::Tensor tensor = at::empty({rows, width}, at::kDouble);
  Rng rng(seed);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data_ptr<double>()[i] = rng.uniform(-1, 1);
  return tensor;
}

at::Tensor cycled_values(int64_t count = kReferences) {
  return at::arange(count).remainder(kValues).to(at::kFloat);
}

at::Tensor distribution(const at::Tensor& queries,
                        const at::Tensor& keys,
                        const Retrieval& retrieval,
                        const at::Tensor& values = cycled_values()) {
  return value_distribution(nearest_references(queries, keys, retrieval), values, kValues);
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(NearestReferences, TwoNeighboursAtZeroAndTauLogTwoHaveTwoThirdsAndOne) {
  const double tau = 1000.0;
  const at::Tensor query = numbers(1, 1);
  at::Tensor keys = query.repeat({2, 1});
  keys[1][2] += std::sqrt(tau * std::log(2.0));
  const auto [indices, weights] = nearest_references(query, keys, {2, tau, 1});
  EXPECT_TRUE(at::equal(indices, at::tensor({0, 1}, at::kLong).view({1, 1, 2})));
  EXPECT_NEAR(weights[0][0][0].item<double>(), 2.0 / 3, 1e-14);
  EXPECT_NEAR(weights[0][0][1].item<double>(), 1.0 / 3, 1e-14);
}

TEST(NearestReferences, WhatTheySaySumsToOne) {
  for (const int64_t heads : {1, 2, 3}) {
    for (const int64_t neighbours : {int64_t{1}, int64_t{7}, kReferences}) {
      const at::Tensor r =
          distribution(numbers(kQueries, 1), numbers(kReferences, 2), {neighbours, 0.3, heads});
      EXPECT_EQ(r.sizes(), (at::IntArrayRef{kQueries, kValues}));
      EXPECT_LT(difference(r.sum(1), at::ones({kQueries}, at::kDouble)), 1e-14);
    }
  }
}

TEST(NearestReferences, AReferenceItselfGetsItsOwnValue) {
  // Beside near doubles, which a GEMM in float32 could not tell from it.
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor once = (100 + numbers(kReferences / 2, 2)).to(dtype);
    at::Tensor doubles = once.clone();
    doubles.select(1, 0).mul_(1 + (dtype == at::kFloat ? 1e-6 : 1e-14));
    const at::Tensor keys = at::cat({doubles, once});
    const auto [indices, weights] = nearest_references(keys, keys, {1, 1000.0, 1});
    EXPECT_TRUE(at::equal(indices.view({-1}), at::arange(kReferences)));
    EXPECT_TRUE(weights.eq(1).all().item<bool>());
  }
}

TEST(NearestReferences, EquallyNearOnesStayInTheirOrder) {
  const at::Tensor keys = numbers(1, 1).repeat({kReferences, 1});
  const auto found = nearest_references(numbers(2, 2), keys, {3, 1.0, 1});
  // More of them than there are candidates: any may be taken, in ascending order.
  EXPECT_TRUE(found.indices.diff().gt(0).all().item<bool>());
  const auto few = nearest_references(numbers(2, 2), keys.narrow(0, 0, 10), {3, 1.0, 1});
  EXPECT_TRUE(at::equal(few.indices, at::arange(3).view({1, 1, 3}).expand({2, 1, 3})));
}

TEST(NearestReferences, AnInfiniteTemperatureCountsTheNeighbours) {
  const at::Tensor queries = numbers(kQueries, 1), keys = numbers(kReferences, 2);
  const at::Tensor r = distribution(queries, keys, {8, 1e30, 1});
  const auto found = nearest_references(queries, keys, {8, 1e30, 1});
  for (int64_t n = 0; n < kQueries; ++n) {
    const at::Tensor labels = cycled_values().to(at::kLong).index_select(0, found.indices[n][0]);
    EXPECT_LT(difference(r[n], at::bincount(labels, {}, kValues).to(at::kDouble) / 8), 1e-15);
  }
}

/// All distances, sorted, in plain tensor operations.
at::Tensor slow_distribution(const at::Tensor& queries,
                             const at::Tensor& keys,
                             const Retrieval& retrieval) {
  const at::Tensor differences = queries.unsqueeze(1) - keys.unsqueeze(0);
  const auto [d, order] =
      at::sort(differences.square().sum(-1), /*stable=*/true, 1, /*descending=*/false);
  const at::Tensor p =
      at::softmax(-d.narrow(1, 0, retrieval.neighbours) / retrieval.temperature, 1);
  const at::Tensor labels = cycled_values().to(at::kLong).index_select(
      0, order.narrow(1, 0, retrieval.neighbours).reshape({-1}));
  return at::zeros({queries.size(0), kValues}, at::kDouble)
      .scatter_add(1, labels.view({queries.size(0), -1}), p);
}

TEST(NearestReferences, OneHeadIsTheSlowFormAndManyAreTheirMean) {
  const at::Tensor queries = numbers(kQueries, 1), keys = numbers(kReferences, 2);
  const Retrieval one = {7, 0.4, 1};
  EXPECT_LT(difference(distribution(queries, keys, one), slow_distribution(queries, keys, one)),
            1e-13);
  at::Tensor mean = at::zeros({kQueries, kValues}, at::kDouble);
  for (int64_t h = 0; h < 2; ++h)
    mean +=
        slow_distribution(queries.narrow(1, 3 * h, 3), keys.narrow(1, 3 * h, 3), {7, 0.2, 1}) / 2;
  EXPECT_LT(difference(distribution(queries, keys, {7, 0.4, 2}), mean), 1e-13);
}

TEST(NearestReferences, ABatchIsItsRowsBitForBit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const at::Tensor queries = numbers(400, 1, 128).to(dtype);
    const at::Tensor keys = numbers(900, 2, 128).to(dtype);  // more than fits at once
    const Retrieval retrieval = {300, 5.0, 1};
    const at::Tensor values = cycled_values(900);
    const at::Tensor together = distribution(queries, keys, retrieval, values);
    for (int64_t n = 0; n < 400; n += 37)
      EXPECT_TRUE(at::equal(together.slice(0, n, n + 1),
                            distribution(queries.slice(0, n, n + 1), keys, retrieval, values)));
  }
}

TEST(NearestReferences, GradientsOfQueriesEqualCentralDifferences) {
  for (const int64_t heads : {1, 2}) {
    const at::Tensor queries = numbers(kQueries, 1).requires_grad_(true);
    const at::Tensor keys = numbers(kReferences, 2), direction = numbers(kQueries, 3, kValues);
    const auto loss = [&] {
      return (distribution(queries, keys, {6, 0.7, heads}) * direction).sum();
    };
    test::check_gradients(loss, {{"queries", queries}});
  }
}

TEST(NearestReferences, WhatDoesNotFitIsRefused) {
  const auto refusal = [](int64_t width, const Retrieval& retrieval) -> std::string {
    try {
      nearest_references(numbers(2, 1, width), numbers(kReferences, 2), retrieval);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(kWidth, {41, 1.0, 1}), ::testing::HasSubstr("given 41 neighbours"));
  EXPECT_THAT(refusal(kWidth, {4, 1.0, 4}), ::testing::HasSubstr("given 4 heads"));
  EXPECT_THAT(refusal(5, {4, 1.0, 1}), ::testing::HasSubstr("same width"));
  EXPECT_EQ(refusal(kWidth, {40, 1.0, 6}), "accepted");
}

}  // namespace
}  // namespace lmoe::nn
