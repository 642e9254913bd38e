#include "nn/matrix_product.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/GradMode.h>

#include <optional>

namespace lmoe::nn {
namespace {

// LibTorch has oneDNN's float32 products as operators of its compiler only; they are no part of
// ATen's headers.
using Linear = at::Tensor(const at::Tensor& x,
                          const at::Tensor& weight,
                          const std::optional<at::Tensor>& bias,
                          c10::string_view post_op,
                          c10::List<std::optional<at::Scalar>> post_op_scalars,
                          std::optional<c10::string_view> post_op_algorithm);
using LinearAndSum = at::Tensor(const at::Tensor& x,
                                const at::Tensor& other,
                                const at::Tensor& weight,
                                const std::optional<at::Tensor>& bias,
                                c10::string_view post_op);

/// Null where LibTorch was built without oneDNN.
std::optional<c10::OperatorHandle> find(const char* overload) {
  const auto found =
      c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", overload});
  return found && found->hasKernelForDispatchKey(c10::DispatchKey::CPU) ? found : std::nullopt;
}

const std::optional<c10::OperatorHandle>& linear() {
  static const auto operation = find("");
  return operation;
}

const std::optional<c10::OperatorHandle>& linear_and_sum() {
  static const auto operation = find("binary");
  return operation;
}

/// What a call of oneDNN costs by itself, some 12 us, is worth it from here on.
constexpr int64_t kLeastMultiplyAdds = int64_t{1} << 20;

/// oneDNN's have no gradient.
bool suits_onednn(const at::Tensor& x, const at::Tensor& weight) {
  if (c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad())) return false;
  return linear() && linear_and_sum() && at::globalContext().userEnabledMkldnn() &&
         x.device().is_cpu() && x.scalar_type() == at::kFloat &&
         weight.scalar_type() == at::kFloat && x.dim() == 2 &&
         x.numel() * weight.size(0) >= kLeastMultiplyAdds;
}

at::Tensor onednn_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return linear()->typed<Linear>().call(x, weight,
                                        bias.defined() ? std::optional(bias) : std::nullopt, "none",
                                        c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

}  // namespace

at::Tensor product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (suits_onednn(x, weight)) return onednn_linear(x, weight, bias);
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

at::Tensor product_back(const at::Tensor& dy, const at::Tensor& weight, const at::Tensor& sum) {
  if (suits_onednn(dy, weight)) {
    if (!sum.defined()) return onednn_linear(dy, weight.t(), at::Tensor());
    return linear_and_sum()->typed<LinearAndSum>().call(dy, sum, weight.t(), std::nullopt, "add");
  }
  return sum.defined() ? sum.addmm_(dy, weight) : at::mm(dy, weight);
}

}  // namespace lmoe::nn
