#include "nn/forward_context.h"

#include <ATen/ATen.h>

namespace lmoe::nn {

at::Tensor make_positions(const std::vector<Segment>& segments) {
  int64_t total = 0;
  for (const Segment& segment : segments) total += segment.length;
  at::Tensor positions = at::empty({total}, at::kLong);
  int64_t* out = positions.data_ptr<int64_t>();
  for (const Segment& segment : segments)
    for (int64_t i = 0; i < segment.length; ++i) *out++ = segment.past + i;
  return positions;
}

}  // namespace lmoe::nn
