#include "nn/projection.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "nn/linear.h"

namespace lmoe::nn {

ProjectionGroup::ProjectionGroup(int layer, std::string block, std::vector<FrozenLinear> linears)
    : layer_(layer), block_(std::move(block)), linears_(std::move(linears)) {}

std::vector<at::Tensor> ProjectionGroup::forward(const SocketInput& input,
                                                 ForwardContext& context) const {
  std::vector<at::Tensor> outputs = frozen_linears(input.x, linears_);
  return delta_ ? delta_->apply(input, std::move(outputs), context) : outputs;
}

void ProjectionGroup::check_free() const {
  LMOE_CHECK_ARG(!delta_, "[attach] the socket of layer ", layer_, " ", block_, " (",
                 linears_.front().name, ") is taken; unplug the other mixture first");
}

void ProjectionGroup::plug(std::shared_ptr<ProjectionDelta> delta) {
  check_free();
  delta_ = std::move(delta);
}

}  // namespace lmoe::nn
