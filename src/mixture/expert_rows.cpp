#include "mixture/expert_rows.h"

#include "nn/simd_math.h"

namespace lmoe::mixture {

namespace simd = nn::simd;

namespace {

/// MurmurHash3's finalizer: every bit of the place moves every bit of the number.
LMOE_INLINE uint32_t scramble(uint32_t h) {
  h ^= h >> 16;
  h *= 0x85ebca6bU;
  h ^= h >> 13;
  h *= 0xc2b2ae35U;
  return h ^ (h >> 16);
}

}  // namespace

template <class T>
LMOE_CLONES void drop_row(
    const DropoutMask& mask, int64_t row, const T* from, int64_t count, T* to) {
  using A = nn::accumulate_t<T>;
  const auto threshold = static_cast<uint32_t>(mask.rate * 0x1.0p32);
  const A kept = static_cast<A>(1.0 / (1.0 - mask.rate));
  const auto place = static_cast<uint64_t>(row);
  const uint32_t key = scramble(static_cast<uint32_t>(mask.seed) ^ static_cast<uint32_t>(place)) ^
                       scramble(static_cast<uint32_t>(mask.seed >> 32) +
                                static_cast<uint32_t>(place >> 32) + 0x9e3779b9U);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t draw = scramble(static_cast<uint32_t>(i) * 0x9e3779b1U + key);
    simd::store(to[i], simd::load(from[i]) * (draw < threshold ? A(0) : kept));
  }
}

template <class T>
LMOE_CLONES void load_row(const T* from, int64_t count, nn::accumulate_t<T>* to) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] = simd::load(from[i]);
}

template <class T>
LMOE_CLONES void add_row(bool is_first,
                         nn::accumulate_t<T> factor,
                         const nn::accumulate_t<T>* from,
                         int64_t count,
                         T* to) {
  if (is_first) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) simd::store(to[i], factor * from[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) simd::store(to[i], simd::load(to[i]) + factor * from[i]);
  }
}

template <class T>
LMOE_CLONES nn::accumulate_t<T> weigh_row(nn::accumulate_t<T> factor,
                                          const T* dy,
                                          const nn::accumulate_t<T>* value,
                                          int64_t count,
                                          nn::accumulate_t<T>* gradient) {
  nn::accumulate_t<T> dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < count; ++i) {
    const nn::accumulate_t<T> own = simd::load(dy[i]);
    dot += value[i] * own;
    gradient[i] += factor * own;
  }
  return dot;
}

#define LMOE_INSTANTIATE(T, A)                                                   \
  template void drop_row<T>(const DropoutMask&, int64_t, const T*, int64_t, T*); \
  template void load_row<T>(const T*, int64_t, A*);                              \
  template void add_row<T>(bool, A, const A*, int64_t, T*);                      \
  template A weigh_row<T>(A, const T*, const A*, int64_t, A*);
LMOE_INSTANTIATE(float, float)
LMOE_INSTANTIATE(c10::BFloat16, float)
LMOE_INSTANTIATE(double, double)
#undef LMOE_INSTANTIATE

}  // namespace lmoe::mixture
