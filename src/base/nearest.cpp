#include "base/nearest.h"

#include <algorithm>
#include <vector>

namespace lmoe {

size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows suffice: neighbour swaps look two rows back.
  std::vector<size_t> before(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before[j - 2] + 1);
      }
    }
    before.swap(previous);
    previous.swap(current);
  }
  return previous[b.size()];
}

std::string nearest_name(std::string_view given, std::span<const std::string> known) {
  std::string best;
  size_t best_distance = 0;
  for (const std::string& name : known) {
    const size_t distance = edit_distance(given, name);
    if (best.empty() || distance < best_distance) {
      best = name;
      best_distance = distance;
    }
  }
  if (best.empty() || best_distance > std::max<size_t>(2, std::max(best.size(), given.size()) / 2))
    return {};
  return best;
}

}  // namespace lmoe
