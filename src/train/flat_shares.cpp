#include "train/flat_shares.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <numeric>

namespace lmoe::train {
namespace {

/// Between two positions among the elements of all tensors.
std::vector<Slice> slices_between(const std::vector<int64_t>& sizes, int64_t from, int64_t to) {
  std::vector<Slice> slices;
  int64_t offset = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto inside = [&](int64_t position) {
      if (position <= offset) return int64_t{0};
      if (position >= offset + sizes[i]) return sizes[i];
      return (position - offset) / kSliceUnit * kSliceUnit;
    };
    const int64_t begin = inside(from), end = inside(to);
    if (begin < end) slices.push_back({i, begin, end - begin});
    offset += sizes[i];
  }
  return slices;
}

}  // namespace

void share_out(const std::vector<int64_t>& sizes,
               const std::function<void(std::span<const Slice>)>& work) {
  const int64_t all = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const int64_t shares = at::get_num_threads();
  at::parallel_for(0, shares, /*grain_size=*/1, [&](int64_t first, int64_t last) {
    const c10::NoGradGuard no_grad;  // of each thread
    for (int64_t share = first; share < last; ++share) {
      const auto slices = slices_between(sizes, all * share / shares, all * (share + 1) / shares);
      if (!slices.empty()) work(slices);
    }
  });
}

}  // namespace lmoe::train
