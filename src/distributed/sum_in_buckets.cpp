#include "distributed/sum_in_buckets.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::distributed {

void sum_in_buckets(ProcessGroup& group,
                    const std::vector<at::Tensor>& tensors,
                    int64_t bucket_bytes) {
  if (group.size() == 1) return;
  const c10::NoGradGuard no_grad;
  std::vector<Bucket> buckets = make_buckets(tensors, bucket_bytes);
  const std::span<const at::Tensor> all(tensors);
  for (Bucket& bucket : buckets) bucket.start(group, all.subspan(bucket.first(), bucket.count()));
  for (Bucket& bucket : buckets) {
    bucket.wait();
    for (size_t i = 0; i < bucket.count(); ++i)
      at::Tensor(tensors[bucket.first() + i]).copy_(bucket.sums(i));
  }
}

}  // namespace lmoe::distributed
