// How a function template that is compiled once per instruction set is called: Highway's own macros
// take no templates yet.
//
//   template <class T>
//   void scale(const T* x) { LMOE_DISPATCH(scale<T>)(x); }   // calls N_AVX2::scale<T>, N_AVX3::…
//
// For the part of a file that is compiled once (#if HWY_ONCE).
#pragma once

#include <hwy/highway.h>

#include <cstddef>

namespace lmoe::kernels {

/// The place of the chosen instruction set in a table of HWY_CHOOSE_TARGET_LIST.
inline size_t target_index() {
  hwy::ChosenTarget& chosen = hwy::GetChosenTarget();
  if (!chosen.IsInitialized()) chosen.Update(hwy::SupportedTargets());
  return chosen.GetIndex();
}

}  // namespace lmoe::kernels

#if (HWY_TARGETS & (HWY_TARGETS - 1)) == 0
#define LMOE_DISPATCH(FUNCTION) HWY_STATIC_DISPATCH(FUNCTION)
#else
#define LMOE_DISPATCH(FUNCTION)                                                    \
  [] {                                                                             \
    static constexpr decltype(&HWY_STATIC_DISPATCH(FUNCTION)) kTable[] = {         \
        nullptr, HWY_CHOOSE_TARGET_LIST(FUNCTION), HWY_CHOOSE_FALLBACK(FUNCTION)}; \
    return kTable[target_index()];                                                 \
  }()
#endif
