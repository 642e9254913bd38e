#include "nn/softmax_kernels.h"

#include <algorithm>
#include <limits>

#include "nn/simd_math.h"

namespace lmoe::nn {

namespace {

template <class T>
LMOE_INLINE accumulate_t<T> largest_of(const T* values, int64_t begin, int64_t end) {
  using A = accumulate_t<T>;
  A largest = -std::numeric_limits<A>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = begin; i < end; ++i) {
    const A value = simd::load(values[i]);
    largest = value > largest ? value : largest;
  }
  return largest;
}

template <class T>
void clear_outside(T* values, int64_t begin, int64_t end, int64_t count) {
  std::fill(values, values + begin, T(0));
  std::fill(values + end, values + count, T(0));
}

}  // namespace

template <class A>
LMOE_CLONES A softmax_row(A* scores, int64_t begin, int64_t end, int64_t count) {
  const A largest = largest_of(scores, begin, end);
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = begin; i < end; ++i) {
    scores[i] = simd::exp(scores[i] - largest);
    sum += scores[i];
  }
  const A factor = A(1) / sum;
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) scores[i] *= factor;
  clear_outside(scores, begin, end, count);
  return largest + std::log(sum);
}

template <class T>
LMOE_CLONES void softmax_row_again(
    T* scores, int64_t begin, int64_t end, int64_t count, accumulate_t<T> log_sum_exp) {
#pragma omp simd
  for (int64_t i = begin; i < end; ++i)
    simd::store(scores[i], simd::exp(simd::load(scores[i]) - log_sum_exp));
  clear_outside(scores, begin, end, count);
}

template <class A>
LMOE_CLONES void softmax_backward_row(const A* p, A* dp, int64_t count, A dot) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dp[i] = p[i] * (dp[i] - dot);
}

template <class T>
LMOE_CLONES void softcap_row(T* values, int64_t count, accumulate_t<T> cap) {
  const accumulate_t<T> inverse = 1 / cap;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    simd::store(values[i], cap * simd::tanh(simd::load(values[i]) * inverse));
}

template <class A>
LMOE_CLONES void softcap_backward_row(const A* capped, A* dvalues, int64_t count, A cap) {
  const A inverse = A(1) / cap;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const A t = capped[i] * inverse;
    dvalues[i] *= A(1) - t * t;
  }
}

template <class A>
LMOE_CLONES A dot_row(const A* a, const A* b, int64_t count) {
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

template <class T>
LMOE_CLONES accumulate_t<T> log_sum_exp_row(const T* values, int64_t count) {
  const accumulate_t<T> largest = largest_of(values, 0, count);
  accumulate_t<T> sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += simd::exp(simd::load(values[i]) - largest);
  return largest + std::log(sum);
}

#define LMOE_INSTANTIATE(A)                                        \
  template A softmax_row<A>(A*, int64_t, int64_t, int64_t);        \
  template void softmax_backward_row<A>(const A*, A*, int64_t, A); \
  template void softcap_backward_row<A>(const A*, A*, int64_t, A); \
  template A dot_row<A>(const A*, const A*, int64_t);
LMOE_INSTANTIATE(float)
LMOE_INSTANTIATE(double)
#undef LMOE_INSTANTIATE

#define LMOE_INSTANTIATE(T, A)                                          \
  template void softmax_row_again<T>(T*, int64_t, int64_t, int64_t, A); \
  template void softcap_row<T>(T*, int64_t, A);                         \
  template A log_sum_exp_row<T>(const T*, int64_t);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(c10::BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::nn
