#include "kernels/gated_activation.h"

#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

double activation(GatedActivation kind, double x) {
  if (kind == GatedActivation::kSilu) return x / (1 + std::exp(-x));
  if (kind == GatedActivation::kGelu) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double slope(GatedActivation kind, double x) {
  if (kind == GatedActivation::kSilu) {
    const double s = 1 / (1 + std::exp(-x));
    return s * (1 + x * (1 - s));
  }
  if (kind == GatedActivation::kGelu)
    return 0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
  const double beta = std::sqrt(2 / M_PI), t = std::tanh(beta * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * beta * (1 + 3 * 0.044715 * x * x);
}

constexpr GatedActivation kKinds[] = {GatedActivation::kSilu, GatedActivation::kGeluTanh,
                                      GatedActivation::kGelu};

template <class T>
class Gated : public testing::Test {};
TYPED_TEST_SUITE(Gated, StoredTypes);

TYPED_TEST(Gated, values_and_gradients_follow_their_formulas) {
  using T = TypeParam;
  on_every_target([&] {
    for (const GatedActivation kind : kKinds) {
      for (int64_t count = 0; count <= kLongest; ++count) {
        const auto gate = random_values<T>(count, 1, 4.0), up = random_values<T>(count, 2);
        const auto dy = random_values<T>(count, 3);
        Guarded<T> y(count), dgate(count), dup(count);
        gated_values(kind, gate.data(), up.data(), count, y.data());
        gated_values_backward(kind, gate.data(), up.data(), dy.data(), count, dgate.data(),
                              dup.data());
        std::vector<double> expected_y, expected_dgate, expected_dup;
        for (size_t i = 0; i < gate.size(); ++i) {
          const double g = value_of(gate[i]), u = value_of(up[i]), d = value_of(dy[i]);
          expected_y.push_back(activation(kind, g) * u);
          expected_dgate.push_back(d * u * slope(kind, g));
          expected_dup.push_back(d * activation(kind, g));
        }
        expect_near(y.result(), expected_y, tolerance<T>());
        expect_near(dgate.result(), expected_dgate, tolerance<T>());
        expect_near(dup.result(), expected_dup, tolerance<T>());
      }
    }
  });
}

TYPED_TEST(Gated, gradients_may_lie_where_their_inputs_are) {
  using T = TypeParam;
  on_every_target([&] {
    const auto gate = random_values<T>(kLongest, 1), up = random_values<T>(kLongest, 2);
    const auto dy = random_values<T>(kLongest, 3);
    for (const GatedActivation kind : kKinds) {
      Guarded<T> dgate(kLongest), dup(kLongest), own_gate(gate), own_up(up);
      gated_values_backward(kind, gate.data(), up.data(), dy.data(), kLongest, dgate.data(),
                            dup.data());
      gated_values_backward(kind, own_gate.data(), own_up.data(), dy.data(), kLongest,
                            own_gate.data(), own_up.data());
      EXPECT_EQ(own_gate.result(), dgate.result());
      EXPECT_EQ(own_up.result(), dup.result());
    }
  });
}

// Threads split a matrix anywhere, so a value may stand in a whole vector or in a partial one.
TYPED_TEST(Gated, a_value_does_not_depend_on_its_place) {
  using T = TypeParam;
  on_every_target([&] {
    const auto gate = random_values<T>(kLongest, 1, 4.0), up = random_values<T>(kLongest, 2);
    const auto dy = random_values<T>(kLongest, 3);
    for (const GatedActivation kind : kKinds) {
      const auto in_parts_of = [&](int64_t size) {
        Guarded<T> y(kLongest), dgate(kLongest), dup(kLongest);
        for (int64_t first = 0; first < kLongest; first += size) {
          const int64_t count = std::min(size, kLongest - first);
          gated_values(kind, gate.data() + first, up.data() + first, count, y.data() + first);
          gated_values_backward(kind, gate.data() + first, up.data() + first, dy.data() + first,
                                count, dgate.data() + first, dup.data() + first);
        }
        return std::vector{y.result(), dgate.result(), dup.result()};
      };
      const auto whole = in_parts_of(kLongest);
      for (const int64_t size : {1, 3, 5, 19, 33}) EXPECT_EQ(in_parts_of(size), whole) << size;
    }
  });
}

TYPED_TEST(Gated, stays_finite_and_keeps_nan) {
  using T = TypeParam;
  std::vector<T> gate, up;
  for (const double value : {-1e4, -90.0, -0.0, 90.0, 1e4, std::nan("")}) {
    gate.push_back(rounded<T>(value));
    up.push_back(rounded<T>(1.0));
  }
  on_every_target([&] {
    for (const GatedActivation kind : kKinds) {
      Guarded<T> y(6), dgate(6), dup(6);
      gated_values(kind, gate.data(), up.data(), 6, y.data());
      gated_values_backward(kind, gate.data(), up.data(), up.data(), 6, dgate.data(), dup.data());
      for (auto* result : {&y, &dgate, &dup}) {
        const std::vector<double> values = result->result();
        for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(std::isfinite(values[i])) << i;
        EXPECT_TRUE(std::isnan(values[5]));
      }
      EXPECT_EQ(y.result()[4], value_of(gate[4]));
      EXPECT_NEAR(y.result()[0], 0.0, 1e-30);
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
