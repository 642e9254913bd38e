#include "nn/projection.h"

#include <ATen/ATen.h>

#include "base/error.h"

namespace lmoe::nn {

ProjectionGroup::ProjectionGroup(int layer, std::string block, std::vector<FrozenLinear> linears)
    : layer_(layer), block_(std::move(block)), linears_(std::move(linears)) {}

std::vector<at::Tensor> ProjectionGroup::forward(const SocketInput& input,
                                                 ForwardContext& context) const {
  std::vector<at::Tensor> outputs;
  outputs.reserve(linears_.size());
  for (const FrozenLinear& linear : linears_)
    outputs.push_back(at::linear(input.x, linear.weight, linear.bias));
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
