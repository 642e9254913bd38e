#include "data/packing.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/error.h"

namespace lmoe::data {

int64_t PackedRow::labelled() const {
  return std::count_if(labels.begin(), labels.end(),
                       [](TokenId label) { return label != kIgnoreLabel; });
}

int64_t PackedRow::pairs() const {
  return std::count_if(segments.begin(), segments.end(),
                       [](const Segment& segment) { return segment.pair >= 0; }) /
         2;
}

std::vector<std::vector<int32_t>> pack_best_fit(std::span<const int32_t> lengths,
                                                int32_t capacity) {
  std::vector<int32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](int32_t item) { return lengths[static_cast<size_t>(item)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return length(a) > length(b); });
  std::vector<std::vector<int32_t>> bins;
  std::multimap<int32_t, size_t> by_room;  // room left -> bin
  for (const int32_t item : order) {
    LMOE_CHECK_ARG(length(item) <= capacity, "[data] an example of ", length(item),
                   " tokens does not fit a row of ", capacity);
    const auto fit = by_room.lower_bound(length(item));
    size_t bin = bins.size();
    int32_t room = capacity;
    if (fit == by_room.end()) {
      bins.emplace_back();
    } else {
      std::tie(room, bin) = *fit;
      by_room.erase(fit);
    }
    bins[bin].push_back(item);
    by_room.emplace(room - length(item), bin);
  }
  return bins;
}

}  // namespace lmoe::data
