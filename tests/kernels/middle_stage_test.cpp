#include "kernels/middle_stage.h"

#include "kernels/every_target.h"

namespace lmoe::kernels::test {
namespace {

using Values = std::vector<double>;

struct Middle {
  Values v, du, dw;
};

/// M(x) of each token and projection as a matrix over experts, M_ij, applied to u: the diagonal of
/// the weights, or w wᵀ; and its gradients by the product rule. `dw` is added to.
Middle by_matrices(MiddleForm form,
                   const MiddleSizes& s,
                   const Values& u,
                   const Values& w,
                   const Values& dv,
                   const Values& dw) {
  Middle middle{Values(dv.size()), Values(dv.size()), dw};
  for (int64_t block = 0; block < s.tokens * s.projections; ++block) {
    const int64_t t = block / s.projections, p = block % s.projections;
    const auto gate = static_cast<size_t>((s.gates == 1 ? t : block) * s.experts);
    for (int64_t i = 0; i < s.experts; ++i) {
      for (int64_t j = 0; j < s.experts; ++j) {
        if (form == MiddleForm::kDeltas && i != j) continue;
        const size_t wi = gate + static_cast<size_t>(i), wj = gate + static_cast<size_t>(j);
        const double m = form == MiddleForm::kDeltas ? w[wi] : w[wi] * w[wj];
        for (int64_t r = 0; r < s.rank; ++r) {
          const auto out = static_cast<size_t>((block * s.experts + i) * s.rank + r);
          const auto in = static_cast<size_t>((block * s.experts + j) * s.rank + r);
          const double own =
              u[static_cast<size_t>(t * s.u_stride + (p * s.experts + j) * s.rank + r)];
          middle.v[out] += m * own;
          middle.du[in] += m * dv[out];
          const double slope = dv[out] * own;
          if (form == MiddleForm::kDeltas) {
            middle.dw[wi] += slope;
          } else {
            middle.dw[wi] += w[wj] * slope;
            middle.dw[wj] += w[wi] * slope;
          }
        }
      }
    }
  }
  return middle;
}

template <class T>
void expect_like_matrices(MiddleForm form, const MiddleSizes& s) {
  using A = accumulate_t<T>;
  const int64_t count = s.tokens * s.width(), weights = s.tokens * s.gates * s.experts;
  // Nothing behind the last token's u.
  const int64_t room = s.tokens == 0 ? 0 : (s.tokens - 1) * s.u_stride + s.width();
  const auto u = random_values<T>(room, 1), dv = random_values<T>(count, 2);
  const auto w = random_values<A>(weights, 3), before = random_values<A>(weights, 4);
  const Middle expected = by_matrices(form, s, wide(u), wide(w), wide(dv), wide(before));
  Guarded<T> v(count), du(count);
  Guarded<A> dw(before);
  middle_stage_rows(form, s, u.data(), w.data(), v.data());
  middle_stage_backward_rows(form, s, u.data(), w.data(), dv.data(), du.data(), dw.data());
  // Terms may be larger than their sums.
  expect_near(v.result(), expected.v, tolerance<T>(), 10);
  expect_near(du.result(), expected.du, tolerance<T>(), 10);
  expect_near(dw.result(), expected.dw, 2 * tolerance<A>(), 10);
}

template <class T>
class MiddleStageRows : public testing::Test {};
TYPED_TEST_SUITE(MiddleStageRows, StoredTypes);

TYPED_TEST(MiddleStageRows, multiply_by_the_matrix_of_each_token) {
  on_every_target([] {
    for (const MiddleForm form : {MiddleForm::kDeltas, MiddleForm::kFactors}) {
      for (int64_t rank = 1; rank <= kLongest; ++rank)
        expect_like_matrices<TypeParam>(form, {2, 3, 4, rank, 3, 12 * rank + 5});
      for (const int64_t tokens : {0, 1, 5})
        for (const int64_t experts : {1, 3, 8})
          for (const int64_t gates : {1, 2})
            expect_like_matrices<TypeParam>(
                form, {tokens, 2, experts, 6, gates, 2 * 6 * experts + tokens});
    }
  });
}

TYPED_TEST(MiddleStageRows, give_a_token_the_same_bits_wherever_it_stands) {
  using T = TypeParam;
  using A = accumulate_t<T>;
  const MiddleSizes one{1, 2, 3, 19, 2, 2 * 3 * 19}, all{4, 2, 3, 19, 2, 2 * 3 * 19};
  const auto u = random_values<T>(all.tokens * all.width(), 1);
  const auto dv = random_values<T>(all.tokens * all.width(), 2);
  const auto w = random_values<A>(all.tokens * 6, 3);
  on_every_target([&] {
    for (const MiddleForm form : {MiddleForm::kDeltas, MiddleForm::kFactors}) {
      std::vector<T> v(u.size()), du(u.size()), own_v(u.size()), own_du(u.size());
      std::vector<A> dw(w.size()), own_dw(w.size());
      middle_stage_rows(form, all, u.data(), w.data(), v.data());
      middle_stage_backward_rows(form, all, u.data(), w.data(), dv.data(), du.data(), dw.data());
      for (int64_t t = 0; t < all.tokens; ++t) {
        const int64_t i = t * all.width(), gate = t * 6;
        middle_stage_rows(form, one, &u[i], &w[gate], &own_v[i]);
        middle_stage_backward_rows(form, one, &u[i], &w[gate], &dv[i], &own_du[i], &own_dw[gate]);
      }
      EXPECT_EQ(wide(v), wide(own_v));
      EXPECT_EQ(wide(du), wide(own_du));
      EXPECT_EQ(wide(dw), wide(own_dw));
    }
  });
}

}  // namespace
}  // namespace lmoe::kernels::test
