#include "distributed/sum_in_buckets.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::distributed {

void sum_in_buckets(ProcessGroup& group,
                    const std::vector<at::Tensor>& tensors,
                    int64_t bucket_bytes) {
  if (group.size() == 1) return;
  const c10::NoGradGuard no_grad;
  std::vector<Bucket> buckets = plan_buckets(tensors, bucket_bytes);
  for (Bucket& bucket : buckets) {
    const auto first = tensors.begin() + static_cast<std::ptrdiff_t>(bucket.first);
    bucket.start(group, {first, first + static_cast<std::ptrdiff_t>(bucket.count)});
  }
  for (Bucket& bucket : buckets) {
    bucket.wait();
    int64_t begin = 0;
    for (size_t i = bucket.first; i < bucket.first + bucket.count; ++i) {
      at::Tensor(tensors[i]).copy_(bucket.sums(begin, tensors[i].numel()).view(tensors[i].sizes()));
      begin += tensors[i].numel();
    }
  }
}

}  // namespace lmoe::distributed
