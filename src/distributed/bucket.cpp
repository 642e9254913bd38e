#include "distributed/bucket.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <utility>

namespace lmoe::distributed {

Bucket::Bucket(size_t first, std::span<const at::Tensor> like) : first_(first) {
  const c10::NoGradGuard no_grad;
  int64_t size = 0;
  for (const at::Tensor& one : like) size += one.numel();
  flat_ = at::empty({size}, like.front().options());
  int64_t begin = 0;
  for (const at::Tensor& one : like) {
    parts_.push_back(flat_.narrow(/*dim=*/0, begin, one.numel()).view(one.sizes()));
    begin += one.numel();
  }
}

Bucket::Bucket(Bucket&& other) noexcept
    : first_(other.first_),
      flat_(std::move(other.flat_)),
      parts_(std::move(other.parts_)),
      wait_(std::exchange(other.wait_, nullptr)) {}

Bucket::~Bucket() {
  try {
    wait();
  } catch (...) {  // a worker was lost, which whoever asks next is told
  }
}

void Bucket::start(ProcessGroup& group, std::span<const at::Tensor> values) {
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (values[i].defined())
      parts_[i].copy_(values[i]);
    else
      parts_[i].zero_();
  }
  wait_ = group.start_sum(flat_);
}

void Bucket::wait() {
  if (const auto wait = std::exchange(wait_, nullptr)) wait();
}

std::vector<Bucket> make_buckets(const std::vector<at::Tensor>& tensors, int64_t bytes) {
  std::vector<Bucket> buckets;
  const std::span<const at::Tensor> all(tensors);
  for (size_t first = 0, end = 0; first < all.size(); first = end) {
    auto used = static_cast<int64_t>(all[first].nbytes());
    for (end = first + 1; end < all.size(); ++end) {
      used += static_cast<int64_t>(all[end].nbytes());
      if (used > bytes || all[end].scalar_type() != all[first].scalar_type()) break;
    }
    buckets.emplace_back(first, all.subspan(first, end - first));
  }
  return buckets;
}

}  // namespace lmoe::distributed
