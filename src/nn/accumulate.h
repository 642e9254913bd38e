// The type values of a stored type are computed in: double for double, float for the rest.
#pragma once

#include <type_traits>

namespace lmoe::nn {

template <class T>
using accumulate_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

}  // namespace lmoe::nn
