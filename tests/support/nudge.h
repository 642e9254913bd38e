// The plainest thing that can stand beside projections.
#pragma once

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "nn/projection.h"

namespace lmoe::test {

/// Adds x C^T to each output, with one C [out, in] for each projection of the group.
class Nudge : public nn::ProjectionDelta {
 public:
  explicit Nudge(std::vector<at::Tensor> matrices) : matrices_(std::move(matrices)) {}
  std::vector<at::Tensor> apply(const nn::SocketInput& input,
                                std::vector<at::Tensor> outputs,
                                nn::ForwardContext&) override {
    for (size_t i = 0; i < outputs.size(); ++i)
      outputs[i] = outputs[i] + at::matmul(input.x, matrices_[i].t().to(input.x.scalar_type()));
    return outputs;
  }

 private:
  std::vector<at::Tensor> matrices_;
};

}  // namespace lmoe::test
