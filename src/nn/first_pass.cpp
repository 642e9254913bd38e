#include "nn/first_pass.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::nn {

void FirstPassSocket::check_free() const {
  LMOE_CHECK_ARG(!is_taken_,
                 "[attach] another mixture decides from the first pass; unplug it first");
}

void FirstPassSocket::plug() {
  check_free();
  is_taken_ = true;
}

at::Tensor FirstPassCache::find(const at::Tensor& ids) const {
  const auto found = documents_.find(key(ids));
  return found == documents_.end() ? at::Tensor() : found->second;
}

void FirstPassCache::keep(const at::Tensor& ids, const at::Tensor& hidden) {
  const auto bytes = static_cast<int64_t>(ids.nbytes() + hidden.nbytes());
  if (bytes > left_) return;
  if (documents_.emplace(key(ids), hidden.clone()).second) left_ -= bytes;
}

std::string FirstPassCache::key(const at::Tensor& ids) {
  const at::Tensor whole = ids.contiguous();
  return std::string(static_cast<const char*>(whole.const_data_ptr()), whole.nbytes());
}

}  // namespace lmoe::nn
