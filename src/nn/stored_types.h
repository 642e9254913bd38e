// The types of tensors as kernels know them.
#pragma once

#include <c10/util/BFloat16.h>

#include <type_traits>

#include "kernels/stored_types.h"

namespace lmoe::nn {

using kernels::accumulate_t;

/// c10::BFloat16 and kernels::BFloat16 are the same 16 bits; other types are themselves.
template <class T>
using stored_t = std::conditional_t<std::is_same_v<T, c10::BFloat16>, kernels::BFloat16, T>;

template <class T>
stored_t<T>* stored(T* data) {
  static_assert(sizeof(stored_t<T>) == sizeof(T));
  return reinterpret_cast<stored_t<T>*>(data);
}
template <class T>
const stored_t<T>* stored(const T* data) {
  return stored(const_cast<T*>(data));
}

}  // namespace lmoe::nn
