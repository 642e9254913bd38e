#include "distributed/bucket.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::distributed {

void Bucket::start(ProcessGroup& group, const std::vector<at::Tensor>& values) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& value : values) flat.push_back(value.reshape({-1}));
  flat_ = at::cat(flat);
  wait_ = group.start_sum(flat_);
}

at::Tensor Bucket::sums(int64_t begin, int64_t size) const {
  return flat_.narrow(/*dim=*/0, begin, size);
}

std::vector<Bucket> plan_buckets(const std::vector<at::Tensor>& tensors, int64_t bytes) {
  std::vector<Bucket> buckets;
  int64_t used = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto size = static_cast<int64_t>(tensors[i].nbytes());
    const bool fits = !buckets.empty() && used + size <= bytes &&
                      tensors[buckets.back().first].scalar_type() == tensors[i].scalar_type();
    if (!fits) {
      buckets.emplace_back();
      buckets.back().first = i;
      used = 0;
    }
    ++buckets.back().count;
    used += size;
  }
  return buckets;
}

}  // namespace lmoe::distributed
