#include "distributed/sum_in_buckets.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

namespace lmoe::distributed {
namespace {

struct Bucket {
  std::vector<at::Tensor> tensors;
  at::Tensor flat;
  std::function<void()> wait;
};

/// Tensors of one type that follow each other and together have at most `bytes`; at least one.
std::vector<Bucket> fill_buckets(const std::vector<at::Tensor>& tensors, int64_t bytes) {
  std::vector<Bucket> buckets;
  int64_t used = 0;
  for (const at::Tensor& tensor : tensors) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    const bool fits = !buckets.empty() && used + size <= bytes &&
                      buckets.back().tensors[0].scalar_type() == tensor.scalar_type();
    if (!fits) {
      buckets.emplace_back();
      used = 0;
    }
    buckets.back().tensors.push_back(tensor);
    used += size;
  }
  return buckets;
}

at::Tensor flatten(const std::vector<at::Tensor>& tensors) {
  std::vector<at::Tensor> flat;
  for (const at::Tensor& tensor : tensors) flat.push_back(tensor.reshape({-1}));
  return at::cat(flat);
}

void give_back(const Bucket& bucket) {
  int64_t begin = 0;
  for (const at::Tensor& tensor : bucket.tensors) {
    at::Tensor(tensor).copy_(
        bucket.flat.narrow(/*dim=*/0, begin, tensor.numel()).view(tensor.sizes()));
    begin += tensor.numel();
  }
}

}  // namespace

void sum_in_buckets(ProcessGroup& group,
                    const std::vector<at::Tensor>& tensors,
                    int64_t bucket_bytes) {
  if (group.size() == 1) return;
  const c10::NoGradGuard no_grad;
  std::vector<Bucket> buckets = fill_buckets(tensors, bucket_bytes);
  for (Bucket& bucket : buckets) {
    bucket.flat = flatten(bucket.tensors);
    bucket.wait = group.start_sum(bucket.flat);
  }
  for (Bucket& bucket : buckets) {
    bucket.wait();
    give_back(bucket);
  }
}

}  // namespace lmoe::distributed
