#include "nn/cross_entropy_kernel.h"

#include "nn/accumulate.h"
#include "nn/simd_math.h"
#include "nn/softmax_kernels.h"

namespace lmoe::nn {

namespace {

template <class T>
LMOE_CLONES void probabilities(T* values, int64_t count, accumulate_t<T> log_sum) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i)
    simd::store(values[i], simd::exp(simd::load(values[i]) - log_sum));
}

template <class T>
LMOE_CLONES void capped(const T* values, int64_t count, accumulate_t<T> cap, T* out) {
  for (int64_t i = 0; i < count; ++i)
    simd::store(out[i], cap * simd::tanh(simd::load(values[i]) / cap));
}

}  // namespace

template <class T>
double cross_entropy_row(T* logits, int64_t count, int64_t label, double cap, bool want_gradient) {
  using A = accumulate_t<T>;
  if (cap > 0) capped(logits, count, static_cast<A>(cap), logits);
  const A log_sum = log_sum_exp_row(logits, count);
  const A at_label = simd::load(logits[label]);
  if (want_gradient && cap > 0) {
    for (int64_t i = 0; i < count; ++i) {
      const A value = simd::load(logits[i]), t = value / static_cast<A>(cap);
      const A p = simd::exp(value - log_sum) - (i == label ? A(1) : A(0));
      simd::store(logits[i], p * (A(1) - t * t));
    }
  } else if (want_gradient) {
    const A p = simd::exp(at_label - log_sum);
    probabilities(logits, count, log_sum);
    simd::store(logits[label], p - A(1));
  }
  return static_cast<double>(log_sum - at_label);
}

template double cross_entropy_row<float>(float*, int64_t, int64_t, double, bool);
template double cross_entropy_row<c10::BFloat16>(c10::BFloat16*, int64_t, int64_t, double, bool);
template double cross_entropy_row<double>(double*, int64_t, int64_t, double, bool);

}  // namespace lmoe::nn
