#include "base/option_fields.h"

#include <charconv>
#include <cmath>
#include <iterator>

namespace lmoe {

std::string bound_text(double bound) {
  constexpr double kWholeBelow = 9007199254740992.0;  // 2^53
  if (std::isinf(bound)) return "any size";
  char text[32];
  const bool is_whole = bound == std::floor(bound) && std::abs(bound) < kWholeBelow;
  const auto end = is_whole ? std::to_chars(text, std::end(text), static_cast<int64_t>(bound)).ptr
                            : std::to_chars(text, std::end(text), bound).ptr;
  return {text, end};
}

}  // namespace lmoe
