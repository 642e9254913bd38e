#include "distributed/sum_of_gradients.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"

namespace lmoe::distributed {
namespace {

/// What autograd calls in the thread of the backward, once the gradient of a leaf is there.
class Hook : public torch::autograd::PostAccumulateGradHook {
 public:
  explicit Hook(std::function<void()> call) : call_(std::move(call)) {}
  void operator()(const at::Tensor& /*parameter*/) override { call_(); }

 private:
  std::function<void()> call_;
};

}  // namespace

SumOfGradients::SumOfGradients(ProcessGroup& group,
                               std::vector<at::Tensor> parameters,
                               int64_t bucket_bytes)
    : group_(group),
      parameters_(std::move(parameters)),
      gradients_(parameters_.size()),
      buckets_(make_buckets(parameters_, bucket_bytes)),
      is_there_(parameters_.size(), false) {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    missing_.push_back(buckets_[b].count());
    bucket_of_.insert(bucket_of_.end(), buckets_[b].count(), b);
  }
  set_hooks();
}

SumOfGradients::~SumOfGradients() {
  for (const at::Tensor& parameter : parameters_)
    torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
}

void SumOfGradients::set_hooks() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    torch::autograd::impl::set_post_acc_grad_hooks(
        parameters_[i], std::make_unique<Hook>([this, i] { on_accumulated(i); }));
  }
}

void SumOfGradients::on_accumulated(size_t parameter) {
  if (!is_watching_) return;
  // What was sent already would lack this part.
  if (is_there_[parameter])
    fail(ErrorCode::kInternal, "[distributed] the gradient of parameter ", parameter,
         " was accumulated twice in the last backward");
  is_there_[parameter] = true;
  --missing_[bucket_of_[parameter]];
  while (started_ < buckets_.size() && missing_[started_] == 0) start_next();
}

void SumOfGradients::start_rest() {
  is_watching_ = false;
  while (started_ < buckets_.size()) start_next();
}

void SumOfGradients::start_next() {
  const c10::NoGradGuard no_grad;
  Bucket& bucket = buckets_[started_];
  const auto gradients = std::span(gradients_).subspan(bucket.first(), bucket.count());
  for (size_t i = 0; i < gradients.size(); ++i)
    gradients[i] = parameters_[bucket.first() + i].grad();
  bucket.start(group_, gradients);
  std::fill(gradients.begin(), gradients.end(), at::Tensor());
  ++started_;  // not before: one that could not be sent now is sent by `start_rest`
}

void SumOfGradients::finish(const std::vector<bool>& has_gradient) {
  const c10::NoGradGuard no_grad;
  for (Bucket& bucket : buckets_) {
    bucket.wait();
    for (size_t i = 0; i < bucket.count(); ++i) {
      const size_t parameter = bucket.first() + i;
      if (!has_gradient[parameter]) continue;
      at::Tensor& gradient = at::Tensor(parameters_[parameter]).mutable_grad();
      if (gradient.defined())
        gradient.copy_(bucket.sums(i));
      else
        gradient = bucket.sums(i).clone();
    }
  }
}

}  // namespace lmoe::distributed
