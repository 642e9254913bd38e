// Products with factors of a few rows against three loops, on every instruction set this machine
// has.
#include "kernels/narrow_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <type_traits>
#include <vector>

#include "kernels/every_target.h"

namespace lmoe::kernels {
namespace {

/// A matrix with room between its rows, which nobody may touch.
template <class A>
struct Matrix {
  Matrix(int64_t rows, int64_t width, uint32_t seed)
      : stride(width + 3), values(static_cast<size_t>(rows * stride + 1)) {
    std::mt19937 random(seed);
    for (A& value : values) value = std::normal_distribution<A>()(random);
  }
  template <class B = A>
  Rows<B> rows() {
    return {values.data(), stride};
  }
  A& at(int64_t row, int64_t column) { return values[static_cast<size_t>(row * stride + column)]; }

  int64_t stride;
  std::vector<A> values;
};

template <class A>
void expect_equal(const Matrix<A>& actual, const Matrix<A>& expected, const char* what) {
  const double tolerance = std::is_same_v<A, double> ? 1e-12 : 2e-4;
  for (size_t i = 0; i < actual.values.size(); ++i)
    ASSERT_NEAR(actual.values[i], expected.values[i], tolerance) << what << " element " << i;
}

template <class A>
void check(const NarrowSizes& s) {
  const auto alpha = A(1.5);
  Matrix<A> x(s.count, s.width, 1), f(s.rank, s.width, 2), u(s.count, s.rank, 3);
  const auto each = [&](const auto& body) {
    for (int64_t i = 0; i < s.count; ++i)
      for (int64_t r = 0; r < s.rank; ++r)
        for (int64_t k = 0; k < s.width; ++k) body(i, r, k);
  };

  Matrix<A> actual = u, expected = u;
  narrow<A>(s, alpha, x.template rows<const A>(), f.template rows<const A>(), actual.rows());
  for (int64_t i = 0; i < s.count; ++i)
    for (int64_t r = 0; r < s.rank; ++r) expected.at(i, r) = 0;
  each([&](int64_t i, int64_t r, int64_t k) {
    expected.at(i, r) += alpha * x.at(i, k) * f.at(r, k);
  });
  expect_equal(actual, expected, "narrow");

  for (const bool is_first : {false, true}) {
    actual = expected = x;
    widen<A>(s, is_first, alpha, u.template rows<const A>(), f.template rows<const A>(),
             actual.rows());
    for (int64_t i = 0; is_first && i < s.count; ++i)
      for (int64_t k = 0; k < s.width; ++k) expected.at(i, k) = 0;
    each([&](int64_t i, int64_t r, int64_t k) {
      expected.at(i, k) += alpha * u.at(i, r) * f.at(r, k);
    });
    expect_equal(actual, expected, is_first ? "widen, first" : "widen");
  }

  actual = expected = f;
  add_outer<A>(s, alpha, u.template rows<const A>(), x.template rows<const A>(), actual.rows());
  each([&](int64_t i, int64_t r, int64_t k) {
    expected.at(r, k) += alpha * u.at(i, r) * x.at(i, k);
  });
  expect_equal(actual, expected, "add_outer");
}

/// Some rows of a matrix, in another order, against the same rows one after another.
template <class A>
void check_places(const NarrowSizes& s) {
  const std::vector<int32_t> places = {5, 0, 7, 2, 9, 4, 1, 11, 8};
  ASSERT_LE(s.count, std::ssize(places));
  Matrix<A> all(12, s.width, 1), f(s.rank, s.width, 2), u(s.count, s.rank, 3);
  Matrix<A> some(s.count, s.width, 4);
  const auto row = [&](int64_t i) { return static_cast<int64_t>(places[static_cast<size_t>(i)]); };
  for (int64_t i = 0; i < s.count; ++i)
    for (int64_t k = 0; k < s.width; ++k) some.at(i, k) = all.at(row(i), k);
  const Rows<const A> chosen{all.values.data(), all.stride, places.data()};
  const auto factors = f.template rows<const A>(), ranks = u.template rows<const A>();

  Matrix<A> actual = u, expected = u;
  narrow<A>(s, A(1), chosen, factors, actual.rows());
  narrow<A>(s, A(1), some.template rows<const A>(), factors, expected.rows());
  EXPECT_EQ(actual.values, expected.values) << "narrow";

  actual = expected = f;
  add_outer<A>(s, A(1), ranks, chosen, actual.rows());
  add_outer<A>(s, A(1), ranks, some.template rows<const A>(), expected.rows());
  EXPECT_EQ(actual.values, expected.values) << "add_outer";

  actual = all;
  widen<A>(s, /*is_first=*/false, A(1), ranks, factors,
           {actual.values.data(), actual.stride, places.data()});
  expected = some;
  widen<A>(s, /*is_first=*/false, A(1), ranks, factors, expected.rows());
  for (int64_t i = 0; i < s.count; ++i)
    for (int64_t k = 0; k < s.width; ++k) all.at(row(i), k) = expected.at(i, k);
  EXPECT_EQ(actual.values, all.values) << "widen";
}

TEST(NarrowProducts, some_rows_of_a_matrix_are_like_copies_of_them) {
  test::on_every_target([] {
    for (const int64_t count : {0, 1, 4, 9}) {
      for (const int64_t rank : {1, 4, 13}) {
        for (const int64_t width : {1, 33, 67}) {
          SCOPED_TRACE(testing::Message() << count << " x " << rank << " x " << width);
          check_places<float>({count, rank, width});
          check_places<double>({count, rank, width});
        }
      }
    }
  });
}

TEST(NarrowProducts, EqualThreeLoops) {
  test::on_every_target([] {
    for (const int64_t count : {0, 1, 3, 4, 9})
      for (const int64_t rank : {1, 3, 4, 8, 13})
        for (const int64_t width : {1, 7, 16, 33, 67}) {
          SCOPED_TRACE(testing::Message() << count << " x " << rank << " x " << width);
          check<float>({count, rank, width});
          check<double>({count, rank, width});
        }
  });
}

}  // namespace
}  // namespace lmoe::kernels
