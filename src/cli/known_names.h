// "a, b, c; nearest is "b"": the end of a message about a name that is not known.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lmoe::cli {

/// All of `known` (the first 20 of many), and the one that `given` may have meant. "nothing" when
/// there are none.
std::string one_of(std::string_view given, std::span<const std::string> known);

}  // namespace lmoe::cli
