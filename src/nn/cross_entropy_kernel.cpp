#include "nn/cross_entropy_kernel.h"

#include "nn/simd_math.h"
#include "nn/softmax_kernels.h"

namespace lmoe::nn {

template <class T>
double cross_entropy_row(T* logits, int64_t count, int64_t label, double cap, bool want_gradient) {
  using A = accumulate_t<T>;
  const A limit = static_cast<A>(cap);
  if (cap > 0) softcap_row(logits, count, limit);
  const A log_sum = log_sum_exp_row(logits, count);
  const A at_label = simd::load(logits[label]);
  if (want_gradient && cap > 0) {
    for (int64_t i = 0; i < count; ++i) {
      const A value = simd::load(logits[i]), t = value / limit;
      const A p = simd::exp(value - log_sum) - (i == label ? A(1) : A(0));
      simd::store(logits[i], p * (A(1) - t * t));
    }
  } else if (want_gradient) {
    softmax_row_again(logits, 0, count, count, log_sum);
    simd::store(logits[label], simd::exp(at_label - log_sum) - A(1));
  }
  return static_cast<double>(log_sum - at_label);
}

template double cross_entropy_row<float>(float*, int64_t, int64_t, double, bool);
template double cross_entropy_row<c10::BFloat16>(c10::BFloat16*, int64_t, int64_t, double, bool);
template double cross_entropy_row<double>(double*, int64_t, int64_t, double, bool);

}  // namespace lmoe::nn
