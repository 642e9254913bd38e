#include "base/duration.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lmoe {

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
  char text[32];
  std::snprintf(text, sizeof text, "%02lld:%02lld:%02lld", whole / 3600, whole / 60 % 60,
                whole % 60);
  return text;
}

}  // namespace lmoe
